#include "sim/experiment.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"
#include "sim/baselines.h"
#include "sim/clairvoyant.h"
#include "sim/core_router.h"
#include "sim/told.h"

namespace drover::sim {
namespace {

template <core::PolicyName policy>
std::unique_ptr<Router> production(World& world, std::uint64_t seed) {
  return std::make_unique<CoreRouter>(policy, seed, world.fleet(), world.workload());
}
template <int seconds>
std::unique_ptr<Router> impatient(World& world, std::uint64_t seed) {
  return std::make_unique<CoreRouter>(core::PolicyName::kExpectedCompletion, seed, world.fleet(),
                                      world.workload(), std::chrono::seconds(seconds));
}
// What there is to learn about the fleet it has learned: the same traffic was there before.
std::unique_ptr<Router> taught(World& world, std::uint64_t seed) {
  auto router = std::make_unique<CoreRouter>(core::PolicyName::kExpectedCompletion, seed,
                                             world.fleet(), world.workload());
  World before(world.fleet(), world.workload());
  before.run(*router);
  router->again(before.now());
  return router;
}
// Has nothing to learn: it was told the true paces before the first request.
std::unique_ptr<Router> knowing(World& world, std::uint64_t seed) {
  auto router = std::make_unique<CoreRouter>(core::PolicyName::kExpectedCompletion, seed,
                                             world.fleet(), world.workload());
  router->remember(told(world.fleet(), world.workload()));
  return router;
}
template <class Kind>
std::unique_ptr<Router> baseline(World& world, std::uint64_t seed) {
  return std::make_unique<Kind>(world.fleet(), world.workload(), seed);
}
std::unique_ptr<Router> clairvoyant(World& world, std::uint64_t) {
  return std::make_unique<Clairvoyant>(world);
}

constexpr double kGood = 95;         // per cent
constexpr double kLeastRate = 0.02;  // requests a second: hardly anybody comes
constexpr int kHalvings = 7;         // the capacity is known to 1 %
constexpr std::uint32_t kCapacityRequests = 3000;

}  // namespace

const std::vector<Policy>& policies() {
  static const std::vector<Policy> all = {
      {core::to_string(core::PolicyName::kExpectedCompletion),
       "drover's default: least delay in seconds, bound when a slot is free, loads planned",
       production<core::PolicyName::kExpectedCompletion>},
      {"expected_completion_5s", "the same with queue.wait: 5s; who would wait longer is refused",
       impatient<5>},
      {"expected_completion_60s", "the same with queue.wait: 60s", impatient<60>},
      {"expected_completion_taught", "the same after the same traffic was there before", taught},
      {"expected_completion_told", "the same, told the true paces before the first request",
       knowing},
      {core::to_string(core::PolicyName::kLeastLoaded),
       "drover's least_loaded: the fewest requests under way",
       production<core::PolicyName::kLeastLoaded>},
      {core::to_string(core::PolicyName::kRoundRobin), "drover's round robin",
       production<core::PolicyName::kRoundRobin>},
      {"random", "any that can hold the model", baseline<RandomChoice>},
      {"least_connections", "the fewest requests under way, whatever is loaded",
       baseline<LeastConnections>},
      {"two_choices", "two at random, the one with less under way", baseline<TwoChoices>},
      {"model_hash", "by hash of the model, at most a quarter above the mean", baseline<ModelHash>},
      {"affinity", "the least busy that has the model", baseline<Affinity>},
      {"early_completion", "the earliest expected end, bound at arrival",
       baseline<EarlyCompletion>},
      {"clairvoyant", "knows lengths, caches and the future: the yardstick", clairvoyant},
  };
  return all;
}

const Policy* find_policy(std::string_view name) {
  for (const Policy& each : policies()) {
    if (each.name == name) return &each;
  }
  return nullptr;
}

namespace {

Metrics run(const Fleet& fleet, const Workload& workload, std::vector<Fault> faults,
            const Policy& policy, std::uint64_t seed, Stopwatch* watch = nullptr) {
  World world(fleet, workload, std::move(faults));
  const std::unique_ptr<Router> router = policy.make(world, seed);
  if (watch != nullptr) router->time_with(*watch);
  world.run(*router);
  return measure(world, *router);
}

}  // namespace

Metrics run_once(const Scenario& scenario, const Policy& policy, std::uint64_t seed,
                 Stopwatch* watch) {
  const Workload workload = make_workload(scenario.traffic, scenario.fleet, seed);
  Metrics metrics =
      run(scenario.fleet, workload, faults_of(scenario, workload), policy, seed, watch);
  if (scenario.traffic.tenants != Tenants::kAggressor) return metrics;
  // What the others would have had without the aggressor: the same requests at the same instants.
  Workload alone = workload;
  std::erase_if(alone.arrivals, [&](JobIndex job) { return alone.jobs[job].tenant == 0; });
  const Metrics calm = run(scenario.fleet, alone, faults_of(scenario, alone), policy, seed);
  const double usual = at(calm, Metric::kVictimsP99);
  at(metrics, Metric::kVictimsTimes) = at(metrics, Metric::kVictimsP99) / std::max(usual, 1e-3);
  return metrics;
}

namespace {

Scenario undisturbed(const Scenario& scenario, std::uint32_t requests) {
  Scenario trial = scenario;
  trial.trouble = Scenario::Trouble::kNone;
  // An aggressor is nobody that a fleet is built for.
  if (trial.traffic.tenants == Tenants::kAggressor) trial.traffic.tenants = Tenants::kTen;
  trial.traffic.requests = std::min(requests, kCapacityRequests);
  return trial;
}

double goodput(Scenario trial, const Policy& policy, std::uint64_t seed, double rate) {
  trial.traffic.rate = rate;
  return at(run_once(trial, policy, seed), Metric::kGoodput);
}

double wanted_goodput(const Scenario& trial) {
  const double unhurried = goodput(trial, *find_policy("clairvoyant"), 1, kLeastRate);
  return unhurried >= kGood ? kGood : 0.95 * unhurried;
}

// At which the policy still gives so many good answers; kLeastRate if it never does.
double highest_rate(const Scenario& trial, const Policy& policy, std::uint64_t seed,
                    double wanted) {
  double low = kLeastRate;
  double high = 0.25;
  while (goodput(trial, policy, seed, high) >= wanted && high < 1e4) {
    low = high;
    high *= 2;
  }
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = (low + high) / 2;
    (goodput(trial, policy, seed, middle) >= wanted ? low : high) = middle;
  }
  return low;
}

}  // namespace

double capacity_of(const Scenario& scenario, std::uint32_t requests) {
  if (scenario.known_capacity) return *scenario.known_capacity;
  const Scenario trial = undisturbed(scenario, requests);
  return highest_rate(trial, *find_policy("clairvoyant"), 1, wanted_goodput(trial));
}

Capacities capacities_of(const Scenario& scenario, const Plan& plan, const Say& say) {
  Capacities result;
  result.scenario = scenario.name;
  result.plan = plan;
  const Scenario trial = undisturbed(scenario, plan.requests);
  result.goodput = wanted_goodput(trial);
  for (const Policy* policy : plan.policies) {
    result.columns.emplace_back(policy->name);
    result.rates.emplace_back();
    for (std::uint32_t i = 0; i < plan.seeds; ++i) {
      say(fmt::format("the capacity of {}, seed {} of {}", policy->name, i + 1, plan.seeds));
      result.rates.back().push_back(
          highest_rate(trial, *policy, plan.first_seed + i, result.goodput));
    }
  }
  return result;
}

Estimate estimate(const std::vector<double>& values) {
  constexpr int kSamples = 1000;
  Rng rng(values.size());
  std::vector<double> medians;
  for (int i = 0; i < kSamples; ++i) {
    std::vector<double> sample;
    for (std::size_t k = 0; k < values.size(); ++k) {
      sample.push_back(values[rng.below(values.size())]);
    }
    medians.push_back(quantile(std::move(sample), 0.5));
  }
  return {quantile(values, 0.5), quantile(medians, 0.025), quantile(medians, 0.975)};
}

Estimate Comparison::value(std::size_t column, Metric metric) const {
  std::vector<double> values;
  for (const Metrics& run : runs[column]) {
    if (is_none(at(run, metric))) return {kNone, kNone, kNone};
    values.push_back(at(run, metric));
  }
  return estimate(values);
}

std::optional<Estimate> Comparison::ratio(std::size_t column, Metric metric) const {
  std::vector<double> ratios;
  for (std::size_t seed = 0; seed < runs[column].size(); ++seed) {
    const double base = at(runs.front()[seed], metric);
    const double value = at(runs[column][seed], metric);
    if (base == 0 || is_none(base) || is_none(value)) return std::nullopt;
    ratios.push_back(value / base);
  }
  return estimate(ratios);
}

std::vector<Scenario> scenarios_like(std::string_view prefix) {
  std::vector<Scenario> found;
  for (const char* const kind : {"", "foreign-", "unlike-"}) {
    for (const ScenarioLine& line : scenarios()) {
      const std::string name = kind + line.name;
      if (name.starts_with(prefix)) found.push_back(*find_scenario(name));
    }
  }
  return found;
}

Matrix matrix_of(const std::vector<Scenario>& scenarios, const std::vector<double>& loads,
                 const Plan& plan, const Say& say) {
  DROVER_ASSERT(plan.policies.size() == 2);
  Matrix result;
  result.plan = plan;
  for (Scenario scenario : scenarios) {
    say(fmt::format("{}: its capacity", scenario.name));
    const double capacity = capacity_of(scenario, plan.requests);
    for (const double load : loads) {
      say(fmt::format("{} at {}", scenario.name, load));
      scenario.traffic.rate = load * capacity;
      scenario.traffic.requests = plan.requests;
      Comparison pair;
      for (const Policy* policy : plan.policies) {
        pair.runs.emplace_back();
        for (std::uint32_t i = 0; i < plan.seeds; ++i) {
          pair.runs.back().push_back(run_once(scenario, *policy, plan.first_seed + i));
        }
      }
      result.rows.push_back({scenario.name, load, pair.ratio(1, Metric::kTtftP99),
                             pair.ratio(1, Metric::kThroughput), pair.ratio(1, Metric::kGoodput)});
    }
  }
  return result;
}

namespace {

Metrics against(const Bounds& bounds, Metrics metrics) {
  if (bounds.swapped_gb > 0 || is_none(bounds.swapped_gb)) {
    at(metrics, Metric::kTimesLeast) = at(metrics, Metric::kLoadedGb) / bounds.swapped_gb;
  }
  return metrics;
}

// Of the next column, if the plan wants it timed.
Stopwatch* next_watch(Comparison& comparison) {
  if (!comparison.plan.clock) return nullptr;
  return &comparison.decisions.emplace_back(comparison.plan.clock);
}

}  // namespace

Comparison compare(Scenario scenario, const Plan& plan, const Say& say) {
  Comparison result;
  result.scenario = scenario.name;
  result.meaning = scenario.meaning;
  result.plan = plan;
  if (!scenario.known_capacity) say("finding the capacity with the clairvoyant");
  result.capacity = capacity_of(scenario, plan.requests);
  result.rate = plan.load * result.capacity;
  scenario.traffic.rate = result.rate;
  scenario.traffic.requests = plan.requests;
  std::vector<Bounds> bounds;  // by seed
  for (std::uint32_t i = 0; i < plan.seeds; ++i) {
    say(fmt::format("bounds, seed {} of {}", i + 1, plan.seeds));
    bounds.push_back(bounds_of(
        scenario.fleet, make_workload(scenario.traffic, scenario.fleet, plan.first_seed + i)));
  }
  result.bounds = bounds.front();
  for (const Policy* policy : plan.policies) {
    result.columns.emplace_back(policy->name);
    result.runs.emplace_back();
    Stopwatch* const watch = next_watch(result);
    for (std::uint32_t i = 0; i < plan.seeds; ++i) {
      say(fmt::format("{}, seed {} of {}", policy->name, i + 1, plan.seeds));
      result.runs.back().push_back(
          against(bounds[i], run_once(scenario, *policy, plan.first_seed + i, watch)));
    }
  }
  return result;
}

Comparison replay(const Trace& trace, const Fleet& fleet, const std::optional<Fleet>& larger,
                  const Plan& plan, const Say& say) {
  Comparison result;
  result.scenario = trace.kind;
  result.plan = plan;
  result.plan.requests = static_cast<std::uint32_t>(trace.lines.size());
  result.rate = static_cast<double>(trace.lines.size()) / (trace.lines.back().at_s + 1e-9);
  result.meaning = fmt::format("recorded requests on {} GPUs with {} models", fleet.gpus.size(),
                               fleet.models.size());
  std::vector<const Fleet*> fleets = {&fleet};
  if (larger) fleets.push_back(&*larger);
  std::vector<std::vector<Bounds>> bounds;  // by fleet, then by seed
  for (const Fleet* each : fleets) {
    bounds.emplace_back();
    for (std::uint32_t i = 0; i < plan.seeds; ++i) {
      say(fmt::format("bounds, seed {} of {}", i + 1, plan.seeds));
      bounds.back().push_back(bounds_of(*each, workload_from(trace, *each, plan.first_seed + i)));
    }
  }
  result.bounds = bounds.front().front();
  for (const Policy* policy : plan.policies) {
    for (std::size_t f = 0; f < fleets.size(); ++f) {
      const Fleet* const each = fleets[f];
      const std::string more = each == &fleet ? "" : " + " + each->gpus.back().name;
      result.columns.push_back(std::string(policy->name) + more);
      result.runs.emplace_back();
      Stopwatch* const watch = next_watch(result);
      for (std::uint32_t i = 0; i < plan.seeds; ++i) {
        say(fmt::format("{}, seed {} of {}", result.columns.back(), i + 1, plan.seeds));
        const std::uint64_t seed = plan.first_seed + i;
        const Workload workload = workload_from(trace, *each, seed);
        result.runs.back().push_back(
            against(bounds[f][i], run(*each, workload, {}, *policy, seed, watch)));
      }
    }
  }
  return result;
}

}  // namespace drover::sim
