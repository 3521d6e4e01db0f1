#pragma once
// Published: the newest of a series of immutable values, set by one loop and read by any. Neither
// side waits longer than it takes to copy a pointer.
//
// This is what std::atomic<std::shared_ptr> is for; in libstdc++ 12 its load() gives its lock bit
// back without release order, so that a writer may overtake the reader (ThreadSanitizer shows it).

#include <atomic>
#include <memory>
#include <utility>

namespace drover::engine {

template <class T>
class Published {
 public:
  std::shared_ptr<const T> get() const {
    const Turn turn(taken_);
    return value_;
  }
  void set(std::shared_ptr<const T> value) {
    {
      const Turn turn(taken_);
      value_.swap(value);
    }
    // What was replaced dies here, outside of the turn.
  }

 private:
  class Turn {
   public:
    explicit Turn(std::atomic_flag& taken) : taken_(taken) {
      while (taken_.test_and_set(std::memory_order_acquire)) {
        taken_.wait(true, std::memory_order_relaxed);
      }
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
      taken_.clear(std::memory_order_release);
      taken_.notify_one();
    }

   private:
    std::atomic_flag& taken_;
  };

  mutable std::atomic_flag taken_;
  std::shared_ptr<const T> value_;
};

}  // namespace drover::engine
