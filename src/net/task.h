#pragma once
// Task<T>: a lazy coroutine with one awaiter. It starts when awaited and resumes its awaiter when
// it ends. Exceptions do not cross it: one that escapes ends the process.
//
// Two rules that tidy checks: no co_await inside a conditional expression (g++ 12 destroys the
// temporaries twice), no capturing-lambda coroutines (the captures die before the body ends).

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "net/frame_memory.h"

namespace drover::net {

template <class T>
class Task;

namespace detail {

struct TaskPromiseBase {
  std::coroutine_handle<> awaiter;

  struct Final {
    bool await_ready() const noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> ended) const noexcept {
      std::coroutine_handle<> next = ended.promise().awaiter;
      return next ? next : std::noop_coroutine();
    }
    void await_resume() const noexcept {}
  };

  std::suspend_always initial_suspend() const noexcept { return {}; }
  Final final_suspend() const noexcept { return {}; }
  void unhandled_exception() const noexcept { std::terminate(); }

  static void* operator new(std::size_t bytes) { return allocate_frame(bytes); }
  static void operator delete(void* frame, std::size_t bytes) noexcept {
    release_frame(frame, bytes);
  }
};

template <class T>
struct TaskPromise : TaskPromiseBase {
  std::optional<T> value;
  Task<T> get_return_object();
  template <class U>
  void return_value(U&& v) {
    value.emplace(std::forward<U>(v));
  }
  T take() { return std::move(*value); }
};

template <>
struct TaskPromise<void> : TaskPromiseBase {
  Task<void> get_return_object();
  void return_void() const noexcept {}
  void take() const noexcept {}
};

}  // namespace detail

template <class T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::TaskPromise<T>;

  Task() = default;
  explicit Task(std::coroutine_handle<promise_type> frame) : frame_(frame) {}
  Task(Task&& other) noexcept : frame_(std::exchange(other.frame_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (frame_) frame_.destroy();
      frame_ = std::exchange(other.frame_, {});
    }
    return *this;
  }
  ~Task() {
    if (frame_) frame_.destroy();
  }

  // Already ended with T{}, without a frame: for a fast path that had nothing to wait for.
  static Task completed() { return Task(); }

  // Await a Task once. One that never waits runs inside its awaiter's call instead of transferring
  // control, so that a loop over such tasks does not grow the stack where the compiler makes no
  // tail calls (-O0, sanitizers).
  auto operator co_await() noexcept {
    struct Awaiter {
      std::coroutine_handle<promise_type> frame;
      bool await_ready() const noexcept { return !frame; }
      bool await_suspend(std::coroutine_handle<> awaiter) const noexcept {
        frame.resume();
        if (frame.done()) return false;
        frame.promise().awaiter = awaiter;
        return true;
      }
      T await_resume() const {
        if (!frame) return nothing();
        return frame.promise().take();
      }
    };
    return Awaiter{frame_};
  }

 private:
  static T nothing() {
    if constexpr (std::is_void_v<T>) {
      return;
    } else if constexpr (std::is_default_constructible_v<T>) {
      return T{};
    } else {
      std::terminate();  // a Task that was never given a coroutine was awaited
    }
  }

  std::coroutine_handle<promise_type> frame_;
};

namespace detail {

template <class T>
Task<T> TaskPromise<T>::get_return_object() {
  return Task<T>{std::coroutine_handle<TaskPromise<T>>::from_promise(*this)};
}

inline Task<void> TaskPromise<void>::get_return_object() {
  return Task<void>{std::coroutine_handle<TaskPromise<void>>::from_promise(*this)};
}

}  // namespace detail
}  // namespace drover::net
