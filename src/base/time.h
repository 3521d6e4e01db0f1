#pragma once
// Time as everything above `net` sees it: a value handed in, never asked for. Whoever needs to know
// "now" takes an Instant argument, so that tests and simulation own the clock.

#include <chrono>
#include <cstdint>

namespace drover {

using Duration = std::chrono::nanoseconds;

// Tag for instants of drover's own monotonic timeline. It has no now(): only a net::Loop has one.
struct Timeline {
  using rep = std::int64_t;
  using period = std::nano;
  using duration = Duration;
  using time_point = std::chrono::time_point<Timeline>;
  static constexpr bool is_steady = true;
};

// A point on the monotonic timeline of one process.
using Instant = Timeline::time_point;

// Later than every deadline: "wait for ever" (only where another bound is stated).
inline constexpr Instant kNever = Instant::max();

// A point of civil time, in nanoseconds since 1970, for logs and for what clients see.
struct WallTime {
  std::int64_t unix_nanos = 0;
};

constexpr double to_seconds(Duration d) { return std::chrono::duration<double>(d).count(); }
constexpr double to_millis(Duration d) { return to_seconds(d) * 1e3; }

}  // namespace drover
