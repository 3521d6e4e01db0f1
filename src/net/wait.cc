#include "net/wait.h"

#include "base/check.h"
#include "net/loop.h"

namespace drover::net {

void Waiter::fire(WaitResult result) {
  DROVER_ASSERT(coroutine_);
  leave();
  result_ = result;
  loop_.make_ready(*this);
}

void Waiter::suspend(std::coroutine_handle<> coroutine, Timer& timer, Instant deadline,
                     Cancel* cancel) {
  DROVER_ASSERT(timer.waiter_ == nullptr);
  DROVER_ASSERT(cancel == nullptr || !cancel->triggered());
  coroutine_ = coroutine;
  timer_ = &timer;
  timer.waiter_ = this;
  timer.arm(deadline);
  if (cancel != nullptr) cancel->waiters_.append(*this);
}

void Waiter::start_late(std::coroutine_handle<> coroutine) {
  coroutine_ = coroutine;
  loop_.make_late(*this);
}

void Waiter::leave() {
  if (timer_ != nullptr) {
    timer_->waiter_ = nullptr;
    timer_->disarm();
    forget();
  }
  unlink();
}

Timer::~Timer() {
  loop_.unqueue_timer(*this);
  // Only when frames are torn down in bulk does somebody still wait here: another frame, which
  // dies later and must not reach back into this object.
  if (waiter_ != nullptr) waiter_->forget();
}

void Timer::arm(Instant deadline) {
  deadline_ = deadline;
  if (deadline != kNever) loop_.queue_timer(*this);
}

void Cancel::trigger(CancelReason reason) {
  DROVER_ASSERT(reason != CancelReason::kNone);
  if (triggered()) return;
  reason_ = reason;
  while (waiters_.linked()) static_cast<Waiter*>(waiters_.front())->fire(WaitResult::kCancelled);
}

void Cancel::reset() {
  DROVER_ASSERT(!waiters_.linked());
  reason_ = CancelReason::kNone;
}

void Event::set() {
  set_ = true;
  if (timer_.waiter() != nullptr) timer_.waiter()->fire(WaitResult::kReady);
}

bool Event::Awaiter::await_ready() {
  if (cancel_on_ != nullptr && cancel_on_->triggered()) {
    result_ = WaitResult::kCancelled;
    return true;
  }
  return event_.set_;
}

}  // namespace drover::net
