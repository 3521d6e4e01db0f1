#include "net/loop.h"

#include <algorithm>

#include "base/check.h"

namespace drover::net {
namespace {

// Coroutines that wake each other run back to back this many times before IO is looked at again:
// it saves a system call a hop, and a pair that never stops cannot starve the sockets.
constexpr int kRoundsPerTurn = 16;

}  // namespace

// The outermost frame of a spawned task. It frees itself at its end.
struct Loop::Root {
  struct promise_type : Link {
    Loop& loop;
    OwnedTask* owner = nullptr;
    bool started = false;

    promise_type(Loop& on, Task<void>&) : loop(on) {
      loop.roots_.append(*this);
      ++loop.live_tasks_;
    }
    ~promise_type() {
      if (!started) std::ranges::replace(loop.starting_, this, nullptr);
      --loop.live_tasks_;
      if (owner != nullptr) owner->frame_ = nullptr;
    }

    // No Waiter, which each task would carry to its end.
    struct Start {
      promise_type& promise;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<>) { promise.loop.starting_.push_back(&promise); }
      void await_resume() const noexcept { promise.started = true; }
    };

    Root get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    Start initial_suspend() { return {*this}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };

  static void own(Root root, OwnedTask& owner) {
    root.frame.promise().owner = &owner;
    owner.frame_ = root.frame;
  }

  std::coroutine_handle<promise_type> frame;
};

Loop::Root Loop::run_root(Loop&, Task<void> task) { co_await task; }

Loop::Loop() = default;

Loop::~Loop() { abandon(); }

void Loop::spawn(Task<void> task) { run_root(*this, std::move(task)); }

void Loop::abandon() {
  DROVER_ASSERT(!turning_);
  while (roots_.linked()) {
    auto& newest = *static_cast<Root::promise_type*>(roots_.back());
    std::coroutine_handle<Root::promise_type>::from_promise(newest).destroy();
  }
  starting_.clear();
}

std::string Loop::take_buffer() {
  if (buffers_.empty()) return {};
  std::string buffer = std::move(buffers_.back());
  buffers_.pop_back();
  return buffer;
}

// At most half a megabyte: more are out only in a burst, and larger ones are rare.
void Loop::give_buffer(std::string buffer) {
  constexpr std::size_t kMost = 32;
  constexpr std::size_t kLargest = 16 * 1024;
  if (buffers_.size() == kMost || buffer.capacity() > kLargest) return;
  buffer.clear();
  buffers_.push_back(std::move(buffer));
}

void Loop::post(std::function<void()> work) {
  bool first = false;
  {
    const std::lock_guard lock(posted_mutex_);
    first = posted_.empty();
    posted_.push_back(std::move(work));
    has_posted_.store(true, std::memory_order_release);
  }
  if (first) wake();
}

void Loop::stop() {
  stopping_.store(true, std::memory_order_release);
  wake();
}

bool Loop::take_stop() {
  return stopping_.load(std::memory_order_relaxed) &&
         stopping_.exchange(false, std::memory_order_acquire);
}

void Loop::run() {
  quiescent_ = false;
  while (!take_stop() && !quiescent_) turn(kNever);
}

void Loop::turn(Instant until) {
  DROVER_ASSERT(!turning_);
  turning_ = true;
  fire_timers();
  run_posted();
  run_ready();
  const bool busy = has_ready() || stopping_.load(std::memory_order_relaxed);
  poll(busy ? now_ : until);
  turning_ = false;
}

// Those spawned so far. By index: one that starts may spawn others, and end some that wait here.
void Loop::start_tasks() {
  const std::size_t count = starting_.size();
  for (std::size_t i = 0; i < count; ++i) {
    Link* const task = std::exchange(starting_[i], nullptr);
    if (task == nullptr) continue;
    auto& promise = *static_cast<Root::promise_type*>(task);
    std::coroutine_handle<Root::promise_type>::from_promise(promise).resume();
  }
  starting_.erase(starting_.begin(), starting_.begin() + static_cast<std::ptrdiff_t>(count));
}

void Loop::run_ready() {
  for (int round = 0; round < kRoundsPerTurn && has_ready(); ++round) {
    start_tasks();
    Link batch;
    // At the latest in the last round, or a pair that never stops would starve who is late, too.
    const bool last = round + 1 == kRoundsPerTurn && late_.linked();
    batch.take(!last && (ready_.linked() || !starting_.empty()) ? ready_ : late_);
    while (batch.linked()) {
      auto& waiter = *static_cast<Waiter*>(batch.front());
      waiter.unlink();
      waiter.coroutine_.resume();
    }
  }
}

void Loop::run_posted() {
  if (!has_posted_.load(std::memory_order_acquire)) return;
  std::vector<std::function<void()>> work;
  {
    const std::lock_guard lock(posted_mutex_);
    work.swap(posted_);
    has_posted_.store(false, std::memory_order_relaxed);
  }
  for (std::function<void()>& item : work) item();
}

void Loop::fire_timers() {
  while (!timers_.empty() && timers_.front().due <= now_) {
    Timer& timer = *timers_.front().timer;
    if (timer.deadline_ > now_ && timer.deadline_ != kNever) {
      move_timer(0, timer.deadline_);
      continue;
    }
    const bool wanted = timer.deadline_ != kNever;
    unqueue_timer(timer);
    timer.disarm();
    if (wanted && timer.waiter_ != nullptr) timer.waiter_->fire(WaitResult::kTimedOut);
  }
}

void Loop::settle_timers() {
  while (!timers_.empty()) {
    const Queued top = timers_.front();
    if (top.timer->deadline_ == top.due) return;
    if (top.timer->deadline_ == kNever) {
      unqueue_timer(*top.timer);
    } else {
      move_timer(0, top.timer->deadline_);
    }
  }
}

void Loop::queue_timer(Timer& timer) {
  if (timer.index_ == Timer::kNotQueued) {
    timers_.push_back({});
    sift_up(timers_.size() - 1, {timer.deadline_, &timer});
  } else if (timer.deadline_ < timers_[timer.index_].due) {
    sift_up(timer.index_, {timer.deadline_, &timer});
  }
}

void Loop::unqueue_timer(Timer& timer) {
  if (timer.index_ == Timer::kNotQueued) return;
  const std::size_t index = timer.index_;
  timer.index_ = Timer::kNotQueued;
  const Queued last = timers_.back();
  timers_.pop_back();
  if (index == timers_.size()) return;
  place(index, last);
  move_timer(index, last.due);
}

// Gives the entry at `index` another instant and its right place.
void Loop::move_timer(std::size_t index, Instant due) {
  const Queued entry{due, timers_[index].timer};
  if (index > 0 && due < timers_[(index - 1) / 2].due) {
    sift_up(index, entry);
  } else {
    sift_down(index, entry);
  }
}

void Loop::sift_up(std::size_t index, Queued entry) {
  while (index > 0) {
    const std::size_t parent = (index - 1) / 2;
    if (timers_[parent].due <= entry.due) break;
    place(index, timers_[parent]);
    index = parent;
  }
  place(index, entry);
}

void Loop::sift_down(std::size_t index, Queued entry) {
  const std::size_t size = timers_.size();
  for (std::size_t child = 2 * index + 1; child < size; child = 2 * index + 1) {
    if (child + 1 < size && timers_[child + 1].due < timers_[child].due) ++child;
    if (entry.due <= timers_[child].due) break;
    place(index, timers_[child]);
    index = child;
  }
  place(index, entry);
}

void Loop::place(std::size_t index, Queued entry) {
  timers_[index] = entry;
  entry.timer->index_ = static_cast<std::uint32_t>(index);
}

bool Loop::SleepAwaiter::await_ready() {
  if (cancel_on_ == nullptr || !cancel_on_->triggered()) return false;
  result_ = WaitResult::kCancelled;
  return true;
}

void OwnedTask::start(Task<void> task) {
  DROVER_ASSERT(!running());
  Loop::Root::own(Loop::run_root(loop_, std::move(task)), *this);
}

void OwnedTask::stop() {
  if (frame_) std::exchange(frame_, {}).destroy();
}

}  // namespace drover::net
