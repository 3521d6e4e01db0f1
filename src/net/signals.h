#pragma once
// Signals as events of a loop (signalfd): handlers run between coroutines, never inside them.

#include <functional>
#include <initializer_list>

#include "net/epoll_loop.h"

namespace drover::net {

class Signals final : private EpollLoop::Watch {
 public:
  // Blocks `numbers` for this thread and those it starts later; calls `heard` on the loop for each
  // that arrives. Ignores SIGPIPE: a closed peer is an error code here. To be made before any
  // other thread.
  Signals(EpollLoop& loop, std::initializer_list<int> numbers, std::function<void(int)> heard);
  ~Signals();

 private:
  void on_events(std::uint32_t events) override;

  EpollLoop& loop_;
  std::function<void(int)> heard_;
  int fd_ = -1;
};

}  // namespace drover::net
