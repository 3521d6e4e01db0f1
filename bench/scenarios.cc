#include "scenarios.h"

#include <algorithm>
#include <array>
#include <limits>

namespace drover::bench {
namespace {

constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kWarmUpNs = 300 * kMs;
constexpr std::uint64_t kOpeningNs = kMs / 10;  // ten thousand connections a second
constexpr std::size_t kSmall = 1024;
constexpr std::size_t kMedium = 100 * 1024;
constexpr std::size_t kLarge = 20 * 1000 * 1000;

constexpr Question kDocument{Answer::kDocument, kSmall, ModelPlace::kFirst};
constexpr Question kStream{Answer::kStream, kSmall, ModelPlace::kFirst};

constexpr Question body(std::size_t bytes, ModelPlace model) {
  return {Answer::kDocument, bytes, model};
}

constexpr BackendOptions every(std::uint64_t ms, std::uint32_t streams) {
  return {.records = 128, .interval_ns = ms * kMs, .staggered = streams};
}

// Longer than a sample: nobody ends while memory is read.
constexpr BackendOptions kHeldStreams{.records = 100'000, .interval_ns = 500 * kMs};

constexpr auto kScenarios = std::to_array<Scenario>({
    {.name = "c64",
     .what = "small requests, 64 connections",
     .question = kDocument,
     .connections = 64},
    {.name = "c1same",
     .what = "one small request at a time, everything on one core",
     .layout = Layout::kOneCore,
     .question = kDocument},
    {.name = "s200",
     .what = "200 streams, a record each 20 ms",
     .question = kStream,
     .connections = 200,
     .backend = every(20, 200)},
    {.name = "s2000",
     .what = "2000 streams, a record each 80 ms",
     .question = kStream,
     .connections = 2000,
     .backend = every(80, 2000)},
    {.name = "sat",
     .what = "2000 streams, near saturation: so many records that HAProxy leaves a tenth of a core",
     .question = kStream,
     .connections = 2000,
     .backend = every(80, 2000),
     .busy = 0.9},
    {.name = "body-1k-first",
     .what = "1 KB body, model first, one core",
     .layout = Layout::kOneCore,
     .question = body(kSmall, ModelPlace::kFirst)},
    {.name = "body-1k-last",
     .what = "1 KB body, model last, one core",
     .layout = Layout::kOneCore,
     .question = body(kSmall, ModelPlace::kLast)},
    {.name = "body-100k-first",
     .what = "100 KB body, model first, one core",
     .layout = Layout::kOneCore,
     .question = body(kMedium, ModelPlace::kFirst)},
    {.name = "body-100k-last",
     .what = "100 KB body, model last, one core",
     .layout = Layout::kOneCore,
     .question = body(kMedium, ModelPlace::kLast)},
    {.name = "body-20m-first",
     .what = "20 MB body, model first",
     .question = body(kLarge, ModelPlace::kFirst)},
    {.name = "body-20m-last",
     .what = "20 MB body, model last",
     .question = body(kLarge, ModelPlace::kLast)},
    {.name = "idle",
     .what = "memory of a connection that waits for its next request",
     .shape = Shape::kHold,
     .question = kDocument},
    {.name = "streaming",
     .what = "memory of a connection with a stream under way",
     .shape = Shape::kHold,
     .question = kStream,
     .backend = kHeldStreams},
    {.name = kLoopsScenario,
     .what = "2000 streams, a record each 80 ms, all cores shared: two IO loops against one",
     .layout = Layout::kShared,
     .question = kStream,
     .connections = 2000,
     .backend = every(80, 2000),
     .by_loops = true},
});

// --- figures ---

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

double per_second(const LoadReport& r) { return static_cast<double>(r.answers) / r.seconds; }
// Direct has no proxy whose time could be told.
double cpu_per_answer(const LoadReport& r) {
  if (r.proxy_ns == 0) return kNothing;
  return r.proxy_ns / 1e3 / static_cast<double>(r.answers);
}
double cpu_per_record(const LoadReport& r) {
  if (r.proxy_ns == 0) return kNothing;
  return r.proxy_ns / 1e3 / static_cast<double>(r.records);
}
// Only what grows: what a process has without connections says nothing about one.
double bytes_per_connection(const LoadReport& r) {
  if (r.memory_empty == 0) return kNothing;
  return (r.memory_many - r.memory_few) / (r.held_many - r.held_few);
}
double base_megabytes(const LoadReport& r) {
  return r.memory_empty == 0 ? kNothing : r.memory_empty / 1e6;
}
double p50(const LoadReport& r) { return r.p50_ns / 1e3; }
double p99(const LoadReport& r) { return r.p99_ns / 1e3; }

constexpr auto kLess = Measure::Better::kLess;
constexpr auto kMore = Measure::Better::kMore;
constexpr auto kValue = Measure::Against::kValue;
constexpr auto kAdded = Measure::Against::kAdded;

constexpr auto kMeasures = std::to_array<Measure>({
    {"c64", "per_second", "requests/s", per_second, kValue, kMore, 1.00, 1.15},
    {"c64", "cpu_us", "CPU us/request", cpu_per_answer, kValue, kLess, 0.95, 0.80},
    {"c64", "p50_us", "p50 us", p50, kValue, kLess},
    {"c64", "p99_us", "p99 us", p99, kValue, kLess, 1.20, 1.00},
    {"c1same", "p50_us", "p50 us", p50, kValue, kLess},
    {"c1same", "added_p50_us", "added p50 us", p50, kAdded, kLess, 1.00, 0.80},
    {"c1same", "added_p99_us", "added p99 us", p99, kAdded, kLess, 1.00, 0.80},
    {"c1same", "cpu_us", "CPU us/request", cpu_per_answer, kValue, kLess},
    {"s200", "cpu_us", "CPU us/chunk", cpu_per_record, kValue, kLess, 1.00, 0.88},
    {"s200", "added_p50_us", "added p50 us", p50, kAdded, kLess},
    {"s200", "p99_us", "p99 us", p99, kValue, kLess},
    {"s2000", "cpu_us", "CPU us/chunk", cpu_per_record, kValue, kLess, 1.00, 0.88},
    {"s2000", "added_p50_us", "added p50 us", p50, kAdded, kLess},
    {"s2000", "p99_us", "p99 us", p99, kValue, kLess},
    {"sat", "cpu_us", "CPU us/chunk", cpu_per_record, kValue, kLess, 1.00, 0.88},
    {"sat", "p50_us", "p50 us", p50, kValue, kLess},
    {"sat", "p99_us", "p99 us", p99, kValue, kLess},
    {"body-1k-first", "added_p50_us", "added p50 us", p50, kAdded, kLess},
    {"body-1k-last", "added_p50_us", "added p50 us", p50, kAdded, kLess},
    {"body-100k-first", "added_p50_us", "added p50 us", p50, kAdded, kLess},
    {"body-100k-last", "added_p50_us", "added p50 us", p50, kAdded, kLess},
    {"body-20m-first", "added_p50_us", "added p50 us", p50, kAdded, kLess, 1.20, 1.00},
    {"body-20m-last", "added_p50_us", "added p50 us", p50, kAdded, kLess, 1.50, 1.10},
    {"idle", "bytes", "bytes/connection", bytes_per_connection, kValue, kLess, 1.50, 1.00},
    {"idle", "base_mb", "MB without any", base_megabytes, kValue, kLess},
    {"streaming", "bytes", "bytes/connection", bytes_per_connection, kValue, kLess, 0.60, 0.40},
    {kLoopsScenario, "cpu_us", "CPU us/chunk", cpu_per_record, kValue, kLess, 1.15, 1.05},
});

}  // namespace

std::span<const Scenario> scenarios() { return kScenarios; }
std::span<const Measure> measures() { return kMeasures; }

LoadPlan plan_of(const Scenario& scenario, const Timing& timing) {
  LoadPlan plan;
  plan.question = scenario.question;
  if (scenario.shape == Shape::kHold) {
    plan.how = HoldLoad{timing.held.few, timing.held.many, kOpeningNs};
    return plan;
  }
  LoopLoad load{.connections = scenario.connections};
  if (scenario.question.answer == Answer::kStream) {
    // kTurns has no divisor in common with the counts above, so that every stream gets a place of
    // its own within the interval, and opening is slow enough to be no load of its own.
    constexpr std::uint64_t kTurns = 17;
    load.opening_ns = kTurns * scenario.backend.interval_ns / scenario.connections;
  }
  const auto measured = static_cast<std::uint64_t>(timing.seconds * static_cast<double>(kSecond));
  load.warm_up_ns = std::min(kWarmUpNs, measured);
  load.measured_ns = measured;
  plan.how = load;
  return plan;
}

}  // namespace drover::bench
