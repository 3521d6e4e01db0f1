#pragma once
// Loop: one thread's world. It owns time, what is ready to run, and what waits. Two kinds exist:
// EpollLoop over the kernel (epoll_loop.h) and the virtual one of test/simnet, where time jumps.
//
// One turn: fire timers; run what other threads posted; run what is ready; then sleep until the
// next timer or IO. Coroutines never run inside the marking of IO events, so destroying a stream
// can not pull the ground from under an event that was already fetched.

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "net/endpoint.h"
#include "net/link.h"
#include "net/receive_memory.h"
#include "net/task.h"
#include "net/wait.h"

namespace drover::net {

class Stream;
class Listener;

struct ListenOptions {
  bool reuse_port = false;  // several loops share the port; the kernel spreads connections
  int backlog = 4096;       // the kernel caps it at net.core.somaxconn
};

class Loop {
 public:
  Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  virtual ~Loop();

  // Time of this turn; does not move while coroutines run.
  Instant now() const { return now_; }
  virtual WallTime wall_now() const = 0;

  // Runs `task` to its first wait when the loop next turns, detached. Frames still suspended when
  // abandon() or the destructor runs are destroyed, newest task first, innermost frame first.
  void spawn(Task<void> task);
  // Spawned and not ended; those of OwnedTask count too.
  std::size_t live_tasks() const { return live_tasks_; }
  // Precondition: not called from a coroutine of this loop.
  void abandon();

  // The only two calls that other threads may make.
  void post(std::function<void()> work);
  void stop();

  // Turns until stop(), which also counts if it came before.
  void run();
  // One turn; waits for IO at most until `until`. For tests and for the virtual loop.
  void turn(Instant until);

  // 64 KiB that all of this loop share, to read into and to write from: valid until the next
  // co_await.
  std::span<char> scratch() { return scratch_.span(); }
  static constexpr std::size_t kScratchBytes = 64 * 1024;

  // An empty string, with the room of one that was given back: for what has arrived and must
  // outlast the turn. Requests are alike, and memory of their size is dear to get and to give back.
  std::string take_buffer();
  void give_buffer(std::string buffer);

  class SleepAwaiter : public Waiter {
   public:
    SleepAwaiter(Loop& loop, Instant until, Cancel* cancel)
        : Waiter(loop), timer_(loop), until_(until), cancel_on_(cancel) {}
    SleepAwaiter(const SleepAwaiter&) = delete;
    SleepAwaiter& operator=(const SleepAwaiter&) = delete;
    ~SleepAwaiter() { leave(); }
    bool await_ready();
    void await_suspend(std::coroutine_handle<> coroutine) {
      suspend(coroutine, timer_, until_, cancel_on_);
    }
    // kTimedOut: slept; kCancelled: woken early.
    WaitResult await_resume() const { return result_; }

   private:
    Timer timer_;
    Instant until_;
    Cancel* cancel_on_;
  };
  // An instant that has passed still lets IO and everybody who is ready go first.
  SleepAwaiter sleep_until(Instant until, Cancel* cancel = nullptr) {
    return {*this, until, cancel};
  }
  SleepAwaiter sleep_for(Duration d, Cancel* cancel = nullptr) { return {*this, now_ + d, cancel}; }

  class LateAwaiter : public Waiter {
   public:
    using Waiter::Waiter;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> coroutine) { start_late(coroutine); }
    void await_resume() const noexcept {}
  };
  // Behind everybody who is ready, in the same turn: each step of the requests that take turns is
  // done for all of them, then the next. Its code is fetched into the caches once; and sends one
  // behind the other wake the receiver's core once, where apart each of them would, and a wake-up
  // across cores costs as much as the send.
  LateAwaiter late() { return LateAwaiter(*this); }

  // Errors: kSystem with the reason in words ("address already in use").
  virtual Result<std::unique_ptr<Listener>> listen(const Endpoint& at, ListenOptions options) = 0;

  // Errors: kRefused (nobody listens), kTimeout, kCancelled, kClosed, kSystem, of origin kInstance;
  // and kUnavailable of origin kSelf, when this process or machine is out of descriptors or memory.
  virtual Task<Result<std::unique_ptr<Stream>>> connect(Endpoint to, Instant deadline,
                                                        Cancel* cancel) = 0;

 protected:
  // Waits for IO until `until` at most (kNever: until woken) and not past the next timer, marks
  // streams, and sets now_.
  virtual void poll(Instant until) = 0;
  // Makes a poll() in progress, or the next one, return. Any thread.
  virtual void wake() = 0;

  void set_now(Instant now) { now_ = now; }
  // When a timer may be due at the earliest; kNever when none. The entry may be stale: its owner
  // has disarmed it or wants a later instant.
  Instant next_timer() const { return timers_.empty() ? kNever : timers_.front().due; }
  // Corrects stale entries until next_timer() is exact.
  void settle_timers();
  bool has_ready() const { return ready_.linked() || late_.linked() || !starting_.empty(); }
  // Whether stop() was called since the last time this was asked.
  bool take_stop();
  // From poll(): nothing can ever happen again by itself, so run() returns.
  void set_quiescent() { quiescent_ = true; }

 private:
  friend class OwnedTask;
  friend class Timer;
  friend class Waiter;
  struct Root;

  // A timer's place in the heap. `due` is kept here so that comparing does not touch the timer.
  struct Queued {
    Instant due;
    Timer* timer;
  };

  void make_ready(Waiter& waiter) { ready_.append(waiter); }
  void make_late(Waiter& waiter) { late_.append(waiter); }
  void run_ready();
  void start_tasks();
  void fire_timers();
  void run_posted();

  void queue_timer(Timer& timer);
  void unqueue_timer(Timer& timer);
  void move_timer(std::size_t index, Instant due);
  void sift_up(std::size_t index, Queued entry);
  void sift_down(std::size_t index, Queued entry);
  void place(std::size_t index, Queued entry);
  static Root run_root(Loop& loop, Task<void> task);

  Instant now_{};
  Link ready_;                   // ring of Waiter
  Link late_;                    // the same, for when ready_ is empty
  Link roots_;                   // ring of Root promises, oldest first
  std::vector<Link*> starting_;  // of these, that have not run yet; null: ended before it ran
  std::size_t live_tasks_ = 0;
  std::vector<Queued> timers_;  // binary heap by due
  ReceiveMemory scratch_{kScratchBytes};
  std::vector<std::string> buffers_;  // empty strings with room
  bool turning_ = false;
  bool quiescent_ = false;

  std::mutex posted_mutex_;
  std::vector<std::function<void()>> posted_;  // guarded by posted_mutex_
  std::atomic<bool> has_posted_{false};        // spares an idle turn the mutex
  std::atomic<bool> stopping_{false};
};

// A coroutine that belongs to an object and dies with it, wherever it is suspended: a sweep, a
// watcher. The loop outlives it.
class OwnedTask {
 public:
  explicit OwnedTask(Loop& loop) : loop_(loop) {}
  OwnedTask(const OwnedTask&) = delete;
  OwnedTask& operator=(const OwnedTask&) = delete;
  ~OwnedTask() { stop(); }

  // Runs `task` to its first wait when the loop next turns. Precondition: !running().
  void start(Task<void> task);
  // From start() until the task has ended or was stopped.
  bool running() const { return static_cast<bool>(frame_); }
  // Destroys the frames. Precondition: not called from inside the task.
  void stop();

 private:
  friend struct Loop::Root;
  Loop& loop_;
  std::coroutine_handle<> frame_;
};

}  // namespace drover::net
