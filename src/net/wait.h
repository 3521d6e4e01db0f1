#pragma once
// Waiting, the one way it is done here: a coroutine suspends on something, with a deadline and a
// way to be cancelled, and exactly one of the three resumes it.
//
// Picture a person at a counter: either the number is called (ready), or the shop closes
// (deadline), or somebody phones that it is no longer needed (cancel).
//
// All of this belongs to one loop and is touched from its thread only.

#include <coroutine>
#include <cstddef>
#include <cstdint>

#include "base/error.h"  // first: g++ 12 takes Retry::kNever for a shadow of time.h's kNever
#include "base/time.h"
#include "net/link.h"

namespace drover::net {

class Loop;
class Cancel;
class Timer;

enum class WaitResult : std::uint8_t { kReady, kTimedOut, kCancelled };

// One suspended coroutine; lives in its frame as (part of) an awaiter. A frame may be destroyed
// while it waits, or after it was fired and before it ran: nothing keeps a pointer to it.
class Waiter : private Link {
 public:
  explicit Waiter(Loop& loop) : loop_(loop) {}
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  ~Waiter() { leave(); }

  // Ends the wait and queues the coroutine; it runs later in this turn of the loop, never inside
  // the caller. Precondition: suspended.
  void fire(WaitResult result);

 protected:
  // Suspends `coroutine`: in `timer` the one who makes it ready finds it, and so does the loop at
  // `deadline`; `cancel` (may be null) lets somebody else end it. Precondition: nobody waits in
  // `timer`, and `cancel` has not been triggered.
  void suspend(std::coroutine_handle<> coroutine, Timer& timer, Instant deadline, Cancel* cancel);
  // Queues `coroutine` behind all that are ready.
  void start_late(std::coroutine_handle<> coroutine);
  // Leaves timer and cancel. For awaiters that own the timer themselves and so must leave before it
  // dies.
  void leave();

  WaitResult result_ = WaitResult::kReady;

 private:
  friend class Cancel;
  friend class Loop;
  friend class Timer;
  // What it waited on is gone: only its cancel can still end it.
  void forget() { timer_ = nullptr; }

  Loop& loop_;
  std::coroutine_handle<> coroutine_;
  Timer* timer_ = nullptr;
  // The Link: in its cancel's ring while it waits, in the loop's ready ring once fired.
};

// Where one coroutine at a time waits, with a deadline that fires it. Re-arming to a later instant,
// and disarming, only write a field: the heap is corrected when the old entry comes up. So a
// deadline per token costs nothing.
class Timer {
 public:
  explicit Timer(Loop& loop) : loop_(loop) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer();

  void arm(Instant deadline);
  void disarm() { deadline_ = kNever; }
  // Null: nobody waits.
  Waiter* waiter() const { return waiter_; }

 private:
  friend class Loop;
  friend class Waiter;
  static constexpr std::uint32_t kNotQueued = UINT32_MAX;

  Loop& loop_;
  Waiter* waiter_ = nullptr;
  Instant deadline_ = kNever;  // what the owner wants; its place in the heap is never later
  std::uint32_t index_ = kNotQueued;
};

// Why somebody's wait was called off.
enum class CancelReason : std::uint8_t {
  kNone,
  kClientGone,  // the client closed its connection
  kRevoked,     // the instance was declared down while it owed the first token
  kShutdown,    // drain time is over
};

// One thing that many waits of one request hang on. Triggered at most once (a second reason is
// ignored); later waits on it end at once. Outlives every wait that names it.
class Cancel {
 public:
  Cancel() = default;
  Cancel(const Cancel&) = delete;
  Cancel& operator=(const Cancel&) = delete;

  void trigger(CancelReason reason);
  bool triggered() const { return reason_ != CancelReason::kNone; }
  CancelReason reason() const { return reason_; }

  // Ready for another request, or another attempt. Precondition: nobody waits on it.
  void reset();

 private:
  friend class Waiter;
  CancelReason reason_ = CancelReason::kNone;
  Link waiters_;
};

// A signal between two coroutines of one loop: once set it stays set until it is cleared.
class Event {
 public:
  explicit Event(Loop& loop) : loop_(loop), timer_(loop) {}

  void set();
  void clear() { set_ = false; }
  bool is_set() const { return set_; }

  class Awaiter : public Waiter {
   public:
    Awaiter(Event& event, Instant deadline, Cancel* cancel)
        : Waiter(event.loop_), event_(event), deadline_(deadline), cancel_on_(cancel) {}
    bool await_ready();
    void await_suspend(std::coroutine_handle<> coroutine) {
      suspend(coroutine, event_.timer_, deadline_, cancel_on_);
    }
    WaitResult await_resume() const { return result_; }

   private:
    Event& event_;
    Instant deadline_;
    Cancel* cancel_on_;
  };
  // At most one waiter at a time. A triggered cancel wins over a set event.
  Awaiter wait(Instant deadline, Cancel* cancel = nullptr) { return {*this, deadline, cancel}; }

 private:
  Loop& loop_;
  Timer timer_;
  bool set_ = false;
};

}  // namespace drover::net
