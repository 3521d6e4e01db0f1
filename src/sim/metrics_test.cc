#include "sim/metrics.h"

#include <gtest/gtest.h>

#include "sim/experiment.h"

namespace drover::sim {
namespace {

TEST(Metrics, QuantilesLieBetweenRanks) {
  EXPECT_DOUBLE_EQ(quantile({4, 1, 3, 2}, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(quantile({5}, 0.99), 5);
  EXPECT_DOUBLE_EQ(quantile({}, 0.5), 0);
  EXPECT_DOUBLE_EQ(quantile({1, 2, 3}, 1), 3);
}

TEST(Metrics, JainIsOneForEqualsAndOneOverNForOneWhoHasAll) {
  EXPECT_DOUBLE_EQ(jain({2, 2, 2}), 1);
  EXPECT_DOUBLE_EQ(jain({1, 0, 0, 0}), 0.25);
  EXPECT_DOUBLE_EQ(jain({}), 1);
}

TEST(Metrics, AnIntervalOfEqualValuesIsAPoint) {
  const Estimate same = estimate({3, 3, 3, 3});
  EXPECT_EQ(same.low, 3);
  EXPECT_EQ(same.high, 3);
  const Estimate spread = estimate({1, 2, 3, 4, 5, 6, 7, 8, 9});
  EXPECT_EQ(spread.median, 5);
  EXPECT_LT(spread.low, 5);
  EXPECT_GT(spread.high, 5);
}

// Everything about the world is the same for both, so a policy against itself is 1 for every seed.
TEST(Metrics, APolicyAgainstItselfIsOne) {
  Plan plan;
  plan.policies = {find_policy("affinity"), find_policy("affinity")};
  plan.seeds = 2;
  plan.requests = 300;
  const Comparison same =
      compare(*find_scenario("fits-poisson-single-one"), plan, [](const std::string&) {});
  const auto ratio = same.ratio(1, Metric::kTtftP99);
  ASSERT_TRUE(ratio);
  EXPECT_EQ(ratio->median, 1);
  EXPECT_EQ(ratio->high, 1);
  EXPECT_FALSE(same.ratio(1, Metric::kShed));  // nothing was shed: 0 of 0
}

TEST(Metrics, WhatIsReadIsComparedWithTheLeastOfTheSameSeed) {
  Scenario scenario = *find_scenario("over-poisson-sessions-one");
  Plan plan;
  plan.policies = {find_policy("affinity")};
  plan.first_seed = 3;
  plan.seeds = 2;
  plan.requests = 300;
  const Comparison comparison = compare(scenario, plan, [](const std::string&) {});
  scenario.traffic.rate = comparison.rate;
  scenario.traffic.requests = plan.requests;
  for (const std::uint32_t i : {0U, 1U}) {
    const Bounds bounds =
        bounds_of(scenario.fleet, make_workload(scenario.traffic, scenario.fleet, 3 + i));
    const Metrics& run = comparison.runs[0][i];
    EXPECT_DOUBLE_EQ(at(run, Metric::kTimesLeast), at(run, Metric::kLoadedGb) / bounds.swapped_gb);
  }
}

// Two models that fit only one at a time, asked for in turn.
Fleet narrow() {
  Fleet fleet;
  fleet.gpus = {gpu_kind("rtx4090")};
  fleet.hosts = {0};
  fleet.models.resize(3);
  for (Model& model : fleet.models) {
    model.file_gb = 10;
    model.kv_mb_token = 0;
  }
  return fleet;
}

Workload asking(std::initializer_list<ModelIndex> models) {
  Workload workload;
  for (const ModelIndex model : models) {
    const auto count = static_cast<int>(workload.jobs.size());
    workload.jobs.push_back({.model = model, .planned = Instant(std::chrono::seconds(count))});
  }
  return workload;
}

// Ann's requests all come in one second, and Bob's in the next.
Metrics of_two_backlogs(const char* policy) {
  Workload workload;
  workload.tenants = 2;
  const auto add = [&](std::uint32_t tenant, int second) {
    const auto number = static_cast<JobIndex>(workload.jobs.size());
    workload.jobs.push_back({.tenant = tenant,
                             .session = number,
                             .prompt = 200,
                             .output = 3000,
                             .planned = Instant(std::chrono::seconds(second))});
    workload.arrivals.push_back(number);
  };
  for (const std::uint32_t tenant : {0U, 1U}) {
    for (int i = 0; i < 200; ++i) add(tenant, static_cast<int>(tenant));
  }
  add(0, 3000);  // the run is measured until then
  workload.last_arrival = workload.jobs.back().planned;
  Fleet fleet = find_scenario("pair-one")->fleet;
  fleet.gpus.resize(1);
  fleet.hosts.resize(1);
  World world(fleet, workload);
  const auto router = find_policy(policy)->make(world, 1);
  world.run(*router);
  return measure(world, *router);
}

TEST(Metrics, WhoIsServedInTurnsIsEqualOverTheWholeRunAndNotInAMinute) {
  const Metrics turns = of_two_backlogs("affinity");
  EXPECT_GT(at(turns, Metric::kJainService), 0.99);
  EXPECT_LT(at(turns, Metric::kJainMinute), 0.55);
  const Metrics shared = of_two_backlogs("expected_completion");
  EXPECT_GT(at(shared, Metric::kJainMinute), 0.95);
  EXPECT_GT(at(shared, Metric::kJainMinuteP10), 0.9);
  EXPECT_LE(at(shared, Metric::kJainMinuteP10), at(shared, Metric::kJainMinute));
}

// A tenant who asks for nothing is not treated unfairly.
TEST(Metrics, AMinuteIsSharedByThoseWhoHaveABacklogOnly) {
  Workload workload;
  workload.tenants = 2;
  for (std::uint32_t i = 0; i < 240; ++i) {
    workload.jobs.push_back({.tenant = i / 120,
                             .session = i,
                             .prompt = 100,
                             .output = 10,
                             .planned = Instant(std::chrono::seconds(5 * i))});
    workload.arrivals.push_back(i);
  }
  workload.last_arrival = workload.jobs.back().planned;
  const Fleet fleet = find_scenario("fits-poisson-single-one")->fleet;
  World world(fleet, workload);
  const auto router = find_policy("affinity")->make(world, 1);
  world.run(*router);
  EXPECT_EQ(at(measure(world, *router), Metric::kJainMinute), 1);
}

// Sends everything to the only instance, and is told afterwards what it foretold.
class Oracle : public Router {
 public:
  void arrived(JobIndex job, Instant, Orders& orders) override {
    orders.push_back({Order::Kind::kSend, job, 0});
  }
  void ended(JobIndex, Ending, const Served&, Instant, Orders&) override {}
  Foretold foretold(JobIndex job) const override { return said[job]; }
  std::vector<Foretold> said;
};

TEST(Metrics, WhatIsForetoldIsComparedWithWhatItTook) {
  Workload workload;
  for (std::uint32_t i = 0; i < 5; ++i) {
    workload.jobs.push_back({.session = i,
                             .prompt = 500 + 100 * i,
                             .output = 10,
                             .planned = Instant(std::chrono::seconds(100 * (1 + i)))});
    workload.arrivals.push_back(i);
  }
  workload.last_arrival = workload.jobs.back().planned;
  const Fleet fleet = narrow();
  World world(fleet, workload);
  Oracle oracle;
  world.run(oracle);
  // By how much it is off, and until when nine of ten should have come, in parts of what it took.
  // Of the first, which had to wait for the load, nothing is said.
  const std::vector<std::pair<double, double>> parts = {
      {0, 0}, {0.8, 1.1}, {1.5, 0.9}, {1.1, 1.2}, {0.7, 1.3}};
  for (std::uint32_t i = 0; i < parts.size(); ++i) {
    const double took = to_seconds(world.records()[i].first - world.records()[i].sent);
    oracle.said.push_back(
        {static_cast<float>(parts[i].first * took), static_cast<float>(parts[i].second * took)});
  }
  const Metrics metrics = measure(world, oracle);
  EXPECT_NEAR(at(metrics, Metric::kForetoldOff), 25, 1e-3);  // of 20, 50, 10, and 30
  EXPECT_EQ(at(metrics, Metric::kForetoldByP90), 75);
}

TEST(Metrics, WhoForetellsNothingHasNone) {
  Scenario scenario = *find_scenario("pair-one");
  scenario.traffic.requests = 200;
  const Metrics affinity = run_once(scenario, *find_policy("affinity"), 1);
  EXPECT_TRUE(is_none(at(affinity, Metric::kForetoldOff)));
  EXPECT_TRUE(is_none(at(affinity, Metric::kForetoldByP90)));
  const Metrics core = run_once(scenario, *find_policy("expected_completion"), 1);
  EXPECT_GT(at(core, Metric::kForetoldOff), 0);
  EXPECT_GT(at(core, Metric::kForetoldByP90), 50);
}

TEST(Bounds, EveryModelIsReadOnceWhenAllFit) {
  EXPECT_NEAR(bounds_of(narrow(), asking({0, 1, 0, 1, 0})).swapped_gb, 20, 1e-9);
}

TEST(Bounds, OneOfThreeIsReadAgainWhereTwoFit) {
  EXPECT_NEAR(bounds_of(narrow(), asking({0, 1, 2})).swapped_gb, 30, 1e-9);
  EXPECT_NEAR(bounds_of(narrow(), asking({0, 1, 2, 0, 1})).swapped_gb, 40, 0.1);
}

TEST(Bounds, NoPolicyIsFasterThanWithoutAnyQueue) {
  Scenario scenario = *find_scenario("fits-poisson-agents-one");
  scenario.traffic.rate = 0.5;
  scenario.traffic.requests = 500;
  const Bounds bounds =
      bounds_of(scenario.fleet, make_workload(scenario.traffic, scenario.fleet, 1));
  for (const Policy& policy : policies()) {
    const Metrics run = run_once(scenario, policy, 1);
    EXPECT_GE(at(run, Metric::kTtftP50), bounds.ttft_p50 * 0.999) << policy.name;
    EXPECT_GE(at(run, Metric::kTtftP99), bounds.ttft_p99 * 0.999) << policy.name;
  }
}

}  // namespace
}  // namespace drover::sim
