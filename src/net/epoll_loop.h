#pragma once
// EpollLoop: the Loop over the kernel. Edge-triggered, one registration per socket for its life.

#include <sys/epoll.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "net/loop.h"
#include "net/read_ahead.h"
#include "net/stream.h"

namespace drover::net {

// A bound and listening TCP socket, non-blocking and close-on-exec, for EpollLoop::adopt_listener()
// of this process or another. SO_REUSEADDR always; IPv6 sockets take IPv6 only, so that both
// families can be bound. Errors: kSystem with the reason in words.
Result<int> listening_socket(const Endpoint& at, ListenOptions options);
// Where a socket is bound.
Endpoint local_endpoint(int fd);

class EpollLoop final : public Loop {
 public:
  // Ends the process when the kernel gives no epoll or event descriptor.
  EpollLoop();
  ~EpollLoop() override;

  WallTime wall_now() const override;

  Result<std::unique_ptr<Listener>> listen(const Endpoint& at, ListenOptions options) override;
  // A TCP socket that listens already (socket activation, an older generation). Takes `fd` over,
  // also on error: kSystem when it is not such a socket.
  Result<std::unique_ptr<Listener>> adopt_listener(int fd);

  // Waits at most until `deadline` for the handshake.
  Task<Result<std::unique_ptr<Stream>>> connect(Endpoint to, Instant deadline,
                                                Cancel* cancel) override;

  // The rest is for the other files of net.

  // Who hears what epoll says about one descriptor. Called while events are marked: it may queue
  // coroutines, watch and forget descriptors, but runs nobody.
  class Watch {
   public:
    virtual void on_events(std::uint32_t events) = 0;

   protected:
    ~Watch() = default;
  };
  // `events` as epoll has them, EPOLLET only if given. False (errno says why) when refused.
  bool watch(int fd, std::uint32_t events, Watch& watch);
  // Other events for a descriptor that is watched.
  void rewatch(int fd, std::uint32_t events);
  // No event of `fd` reaches its Watch from here on. To be called before close(fd), which takes it
  // out of the kernel's set.
  void forget(int fd);
  // forget() for a descriptor that stays open.
  void unwatch(int fd);

  ReadAhead& ahead() { return ahead_; }

 protected:
  void poll(Instant until) override;
  void wake() override;

 private:
  // So many requests go through each step side by side: enough that the step's code is worth
  // fetching, few enough that what they keep stays in the caches. Measured with 8 to 256.
  static constexpr int kEventsPerPoll = 32;

  // By descriptor. The generation tells a late event of a closed descriptor from one of its
  // successor with the same number, even if a forked child still holds the old one open.
  struct Watched {
    Watch* watch = nullptr;
    std::uint32_t generation = 0;
  };

  int wait_for_events(epoll_event* events, Instant until);

  int epoll_fd_;
  int wake_fd_;
  bool has_pwait2_ = true;
  std::vector<Watched> watched_;
  ReadAhead ahead_;
};

}  // namespace drover::net
