#pragma once
// Cells that hot paths add to and the exporter reads. Relaxed atomics: a scrape may see one request
// half counted, never a torn number.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace drover {

class Counter {
 public:
  void add(std::uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

class Gauge {
 public:
  void add(std::int64_t n) { value_.fetch_add(n, std::memory_order_relaxed); }
  void set(std::int64_t n) { value_.store(n, std::memory_order_relaxed); }
  std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

// Upper bounds in seconds, ascending. The OpenTelemetry GenAI duration set, extended for models
// that load from disk.
inline constexpr std::array<double, 17> kSecondsBuckets = {
    0.01, 0.02,  0.04,  0.08,  0.16,  0.32,   0.64,   1.28,  2.56,
    5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68, 655.36};

// Cumulative on export, plain counts inside. Sum is kept in microseconds.
class SecondsHistogram {
 public:
  void observe(double seconds) {
    std::size_t i = 0;
    while (i < kSecondsBuckets.size() && seconds > kSecondsBuckets[i]) ++i;
    buckets_[i].fetch_add(1, std::memory_order_relaxed);
    sum_micros_.fetch_add(static_cast<std::uint64_t>(seconds * 1e6), std::memory_order_relaxed);
  }
  // i in [0, kSecondsBuckets.size()]; the last one is "larger".
  std::uint64_t bucket(std::size_t i) const { return buckets_[i].load(std::memory_order_relaxed); }
  double sum_seconds() const {
    return static_cast<double>(sum_micros_.load(std::memory_order_relaxed)) * 1e-6;
  }

 private:
  std::array<std::atomic<std::uint64_t>, kSecondsBuckets.size() + 1> buckets_{};
  std::atomic<std::uint64_t> sum_micros_{0};
};

}  // namespace drover
