#pragma once
// EpollStream and EpollListener: sockets of an EpollLoop. Used by epoll_loop.cc and tests; others
// see Stream and Listener.

#include <sys/uio.h>

#include <memory>
#include <span>
#include <string_view>

#include "net/epoll_loop.h"
#include "net/stream.h"

namespace drover::net {

class EpollStream final : public Stream, private EpollLoop::Watch {
 public:
  enum class Handshake : std::uint8_t { kDone, kPending };

  // Owns `fd` (non-blocking). A pending handshake is not writable until the kernel says so.
  EpollStream(EpollLoop& loop, int fd, const Endpoint& peer, Handshake handshake);
  ~EpollStream() override;

  // Registers with the loop. False (errno says why) when the kernel refuses.
  bool open();
  // Takes the pending error of the socket (errno's numbers, 0: none).
  int take_error();
  // Connected to itself: a connect to an unused port of the ephemeral range may meet its own SYN.
  bool is_self_connected() const;

  Arrived receive() override;
  Io read(std::span<char> into) override;
  Io write(std::span<const std::string_view> parts) override;
  void finish_writing() override;
  void reset_on_close() override;
  bool look_for_input() override;
  Endpoint peer() const override { return peer_; }
  int fd() const { return fd_; }

 private:
  void on_events(std::uint32_t events) override;
  Io read_socket(std::span<char> into) const;
  void read_ahead();
  ssize_t send_pieces(std::span<iovec> pieces) const;
  EpollLoop& epoll_loop() { return static_cast<EpollLoop&>(loop()); }

  int fd_;
  ReadAhead::Key ahead_ = ReadAhead::kNone;  // what was read and not taken
  Endpoint peer_;
};

class EpollListener final : public Listener, private EpollLoop::Watch {
 public:
  // Owns `fd` (listening, non-blocking).
  EpollListener(EpollLoop& loop, int fd, const Endpoint& local);
  ~EpollListener();

  bool open();
  Task<Result<std::unique_ptr<Stream>>> accept(Cancel* cancel) override;
  Endpoint local() const override { return local_; }

 private:
  void on_events(std::uint32_t events) override;
  bool has_had_its_share();

  EpollLoop& loop_;
  int fd_;
  Endpoint local_;
  Event incoming_;
  Instant turn_{};  // the turn that `accepted_` counts
  int accepted_ = 0;
  int accepted_late_ = 0;  // after the cancel
};

// "connection refused": the kernel's words for an errno, in lower case.
std::string error_words(int error);
// Whether an errno says that this process or this machine is out of descriptors or memory.
bool is_shortage(int error);

}  // namespace drover::net
