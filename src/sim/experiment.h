#pragma once
// Experiment: several policies in the same scenario, with the same seeds. Seed by seed they meet
// the same traffic, so what differs between them is the policy; the ratios are made seed by seed,
// too.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/metrics.h"
#include "sim/scenario.h"
#include "sim/trace.h"

namespace drover::sim {

struct Policy {
  std::string_view name;
  std::string_view meaning;
  std::unique_ptr<Router> (*make)(World& world, std::uint64_t seed);
};
// Those of the production scheduler first.
const std::vector<Policy>& policies();
const Policy* find_policy(std::string_view name);

// The requests a second that the clairvoyant just serves well: 95 % good ones. Where loads alone
// spoil more than that, 95 % of what it reaches when hardly anybody comes.
double capacity_of(const Scenario& scenario, std::uint32_t requests);

struct Plan {
  std::vector<const Policy*> policies;
  std::uint64_t first_seed = 1;
  std::uint32_t seeds = 5;
  std::uint32_t requests = 4000;
  double load = 0.9;  // of the capacity
  // With it the scheduler's events are timed, which changes nothing else. Not by capacities_of()
  // and matrix_of().
  Stopwatch::Clock clock;
};

// A median, and where 95 % of the medians of resampled seeds lie.
struct Estimate {
  double median = 0;
  double low = 0;
  double high = 0;
};
Estimate estimate(const std::vector<double>& values);

struct Comparison {
  std::string scenario;
  std::string meaning;
  double capacity = 0;  // 0: not known, the traffic is what it is
  double rate = 0;
  Plan plan;
  Bounds bounds;                     // of the first seed and, where there are two, the first fleet
  std::vector<std::string> columns;  // policies; with a second fleet each twice
  // By column, then by seed.
  std::vector<std::vector<Metrics>> runs;
  std::vector<Stopwatch> decisions;  // by column, of all seeds; empty: not timed

  // kNone where a run has none.
  Estimate value(std::size_t column, Metric metric) const;
  // Against the first column; absent where that has zeros, or either has none.
  std::optional<Estimate> ratio(std::size_t column, Metric metric) const;
};

// Of each policy: the highest rate, in requests a second, at which it gives as many good answers as
// the clairvoyant has to at the scenario's capacity.
struct Capacities {
  std::string scenario;
  double goodput = 95;  // per cent
  Plan plan;
  std::vector<std::string> columns;
  std::vector<std::vector<double>> rates;  // by column, then by seed
};

// `watch`: if not null, it times the scheduler's events.
Metrics run_once(const Scenario& scenario, const Policy& policy, std::uint64_t seed,
                 Stopwatch* watch = nullptr);

using Say = std::function<void(const std::string&)>;

// `say` hears what is done, a line each. Of the plan all but the load counts; at most 3000
// requests.
Capacities capacities_of(const Scenario& scenario, const Plan& plan, const Say& say);
Comparison compare(Scenario scenario, const Plan& plan, const Say& say);

// The plan's second policy in many scenarios, times what the first has.
struct Matrix {
  struct Row {
    std::string scenario;
    double load = 0;
    // Absent where the first policy has zeros.
    std::optional<Estimate> ttft_p99;
    std::optional<Estimate> throughput;
    std::optional<Estimate> goodput;
  };
  Plan plan;
  std::vector<Row> rows;
};
// All scenarios whose names begin so, those of foreign instances too.
std::vector<Scenario> scenarios_like(std::string_view prefix);
// At each of the loads; that of the plan does not count. The plan has two policies.
Matrix matrix_of(const std::vector<Scenario>& scenarios, const std::vector<double>& loads,
                 const Plan& plan, const Say& say);

// Recorded traffic, as fast as it was. With `larger`: each policy in both fleets.
Comparison replay(const Trace& trace, const Fleet& fleet, const std::optional<Fleet>& larger,
                  const Plan& plan, const Say& say);

}  // namespace drover::sim
