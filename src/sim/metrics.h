#pragma once
// Metrics: what a run was like for the clients, for the tenants, and for the GPUs. Requests of the
// first tenth of a run are left out of everything about waiting: they meet a fleet without models.

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

#include "sim/world.h"

namespace drover::sim {

enum class Metric : std::uint8_t {
  kTtftP50,
  kTtftP90,
  kTtftP99,
  kTtftMean,
  kEndP50,
  kEndP99,
  kGapP99,
  kGoodput,
  kGoodOfAdmitted,
  kShed,
  kFailed,
  kThroughput,
  kLoads,
  kLoadedGb,
  kTimesLeast,  // against Bounds::swapped_gb; by compare() and replay(), else zero. kNone without
                // it
  kReused,
  kReusedOfAll,
  kJainService,
  kJainMinute,  // the median one, of those with a backlog; over the whole run even who is served in
                // turns by the hour is equal
  kJainMinuteP10,
  kJainSlowdown,
  kVictimsP99,
  kVictimsTimes,
  kBusy,
  kLost,
  kForetoldOff,    // of requests whose model was loaded when they were sent
  kForetoldByP90,  // these two are kNone where the policy foretells nothing
};
inline constexpr std::size_t kMetrics = 27;
// A metric that a run does not have.
inline constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
inline bool is_none(double value) { return std::isnan(value); }
using Metrics = std::array<double, kMetrics>;

struct MetricText {
  std::string_view key;      // in JSON
  std::string_view heading;  // for people, with the unit
  int digits = 2;
  bool more_is_better = false;
};
const MetricText& text_of(Metric metric);

inline double& at(Metrics& metrics, Metric metric) {
  return metrics[static_cast<std::size_t>(metric)];
}
inline double at(const Metrics& metrics, Metric metric) {
  return metrics[static_cast<std::size_t>(metric)];
}

// `router` decided there.
Metrics measure(const World& world, const Router& router);

// A request that a reader finds good: the first token within 5 s, then ten a second.
inline constexpr double kGoodTtftSeconds = 5;
inline constexpr double kGoodGapSeconds = 0.1;

// 1: all alike; 1/n: one has everything.
double jain(const std::vector<double>& shares);
// Linear between ranks; 0 for none.
double quantile(std::vector<double> values, double q);

// What no policy can do better than, from the traffic and the machines alone.
struct Bounds {
  double ttft_p50 = 0;  // everybody alone on the fastest GPU, model loaded, cache perfect
  double ttft_p99 = 0;
  double reusable_tokens = 0;  // of prompts, with caches that forget nothing
  // Gigabytes to read, when requests are served in their planned order: swap_bound.h. kNone for
  // more requests than kMostBounded.
  double swapped_gb = 0;
};
// For a million requests swap_bound.h takes a minute and more, three times as long as the run.
inline constexpr std::size_t kMostBounded = 300'000;
Bounds bounds_of(const Fleet& fleet, const Workload& workload);

}  // namespace drover::sim
