#pragma once
// Stopwatch: how long each of many things took, by a clock that is handed in. Only counts by length
// are kept, in steps of 2 %, so a million things take no more memory than ten.

#include <array>
#include <cstdint>
#include <functional>

#include "base/time.h"

namespace drover::sim {

class Stopwatch {
 public:
  using Clock = std::function<Duration()>;  // since some instant; never goes back

  explicit Stopwatch(Clock clock) : clock_(std::move(clock)) {}

  Duration now() const { return clock_(); }
  void took(Duration time);

  std::uint64_t count() const { return count_; }
  // Within 1 %; 0 where nothing was measured.
  double quantile_us(double q) const;

 private:
  // From a nanosecond to 20 s.
  static constexpr std::size_t kSteps = 1200;

  Clock clock_;
  std::array<std::uint64_t, kSteps> counts_{};
  std::uint64_t count_ = 0;
};

}  // namespace drover::sim
