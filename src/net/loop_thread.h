#pragma once
// Runs a loop on a thread of its own. The only place where threads are made.

#include <string>
#include <thread>

#include "net/loop.h"

namespace drover::net {

class LoopThread {
 public:
  // Starts at once. `name` is shown by tools such as top; at most 15 bytes. All signals are blocked
  // on it: the home loop hears them.
  LoopThread(Loop& loop, const std::string& name);
  // Stops the loop and joins.
  ~LoopThread();

 private:
  Loop& loop_;
  std::thread thread_;
};

}  // namespace drover::net
