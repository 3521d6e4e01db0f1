#pragma once
// One end of the conversation between keeper and gateway: messages in order, over a stream socket.
// Lives on one loop. The other end's death is an event like any other.

#include <functional>
#include <memory>
#include <string>

#include "keeper/messages.h"
#include "net/epoll_loop.h"
#include "net/stream.h"

namespace drover::keeper {

class Link {
 public:
  // The reason of an end that is simply the end of the other process.
  static constexpr const char* kPeerGone = "the other process is gone";
  struct Heard {
    std::function<void(Message)> message;
    std::function<void(std::string why)> end;  // called once; the Link may be destroyed after it
  };
  // `reader` may hold bytes that were read before.
  Link(net::EpollLoop& loop, std::unique_ptr<net::Stream> stream, MessageReader reader,
       Heard heard);

  void start();
  // Queues it. A reading that the other end has not taken yet is worth nothing once the next one is
  // there: readings are dropped while more than kMostWaiting bytes wait.
  void send(const Message& message);
  static constexpr std::size_t kMostWaiting = std::size_t{4} << 20;

 private:
  net::Task<void> read();
  net::Task<void> write();
  void end(std::string why);

  net::EpollLoop& loop_;
  std::unique_ptr<net::Stream> stream_;
  MessageReader reader_;
  Heard heard_;
  std::string waiting_;
  net::Event has_waiting_;
  bool ended_ = false;
  net::OwnedTask reading_;
  net::OwnedTask writing_;
};

// A connected pair of stream sockets, close-on-exec, non-blocking. Errors: kSystem.
Result<std::pair<int, int>> link_pair();
// A Stream on one of them. Null when the kernel refuses. Takes the descriptor.
std::unique_ptr<net::Stream> link_stream(net::EpollLoop& loop, int fd);

}  // namespace drover::keeper
