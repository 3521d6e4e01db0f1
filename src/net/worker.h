#pragma once
// A thread for one call at a time that may never come back: a driver's, say. Whoever waits for it
// waits on the loop, with a deadline, and may give up and leave.
//
// Ownership: what `work` touches, `work` owns (captured by value, or by shared_ptr), because it may
// outlive the Worker: when that is destroyed during a call, the thread is left behind with what it
// owns, and ends by itself when the call does. It never touches the loop then.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "net/loop.h"

namespace drover::net {

class Worker {
 public:
  // Where threads share a table of descriptors, each call on a socket is dearer (app/log_sink.cc):
  // a thread that opens whatever it needs itself has kOwn, which begins with the standard three.
  enum class Descriptors : std::uint8_t { kShared, kOwn };
  // `name` as for LoopThread; all signals are blocked on the thread.
  Worker(Loop& loop, const std::string& name, Descriptors descriptors = Descriptors::kShared);
  // On the loop's thread. An idle thread is joined; one that is in a call is left behind.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Runs `work` on the thread, and then `done` on the loop, unless this was destroyed in between.
  // Precondition: !busy().
  void run(std::function<void()> work, std::function<void()> done);
  // From run() until `done` is called.
  bool busy() const { return busy_; }

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
  bool busy_ = false;
};

}  // namespace drover::net
