#pragma once
// Signals as events of a loop (signalfd): handlers run between coroutines, never inside them.

#include <functional>
#include <initializer_list>

#include "net/epoll_loop.h"

namespace drover::net {

// Blocks `numbers` for this thread and those it starts later, and ignores SIGPIPE and SIGXFSZ: a
// closed peer and a file that may not grow (ulimit -f, LimitFSIZE=) are error codes here. To be
// called before the first thread is made: a thread that does not block a signal may be chosen to
// die of it.
void block_signals(std::initializer_list<int> numbers);

class Signals final : private EpollLoop::Watch {
 public:
  // Calls `heard` on the loop for each of `numbers` that arrives. Blocks them too.
  Signals(EpollLoop& loop, std::initializer_list<int> numbers, std::function<void(int)> heard);
  ~Signals();

 private:
  void on_events(std::uint32_t events) override;

  EpollLoop& loop_;
  std::function<void(int)> heard_;
  int fd_ = -1;
};

}  // namespace drover::net
