#include "sim/world.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "sim/experiment.h"
#include "sim/report.h"
#include "sim/stopwatch.h"
#include "sim/testing.h"

namespace drover::sim {
namespace {

using testing::Played;
using testing::scenario;

// --- theory ---

// The mean wait in a queue M/M/c, by Erlang's C formula.
double erlang_wait(double servers, double rate, double service) {
  const double offered = rate * service;
  double term = 1;
  double sum = 0;
  for (double n = 0; n < servers; ++n) {
    sum += term;
    term *= offered / (n + 1);
  }
  const double all_busy = term * servers / (servers - offered);
  const double waits = all_busy / (sum + all_busy);
  return waits * service / (servers - offered);
}

double mean_wait(std::string_view name, double load, std::uint64_t seed) {
  Scenario queue = scenario(name, 0, 40'000);
  queue.traffic.rate = load * *queue.known_capacity;
  const Played run(std::move(queue), "least_loaded", seed);
  double sum = 0;
  double count = 0;
  for (std::size_t i = run.workload.jobs.size() / 10; i < run.workload.jobs.size(); ++i) {
    sum += to_seconds(run.world->records()[i].first - run.world->records()[i].arrived);
    ++count;
  }
  return sum / count;
}

struct Textbook {
  const char* name;
  double servers;
  double load;
};

class QueueTest : public ::testing::TestWithParam<Textbook> {};

TEST_P(QueueTest, WaitsAsLongAsTheFormulaSays) {
  const auto [name, servers, load] = GetParam();
  constexpr int kSeeds = 12;
  std::vector<double> waits;
  for (int seed = 1; seed <= kSeeds; ++seed) waits.push_back(mean_wait(name, load, seed));
  double mean = 0;
  for (const double each : waits) mean += each / kSeeds;
  double variance = 0;
  for (const double each : waits) variance += (each - mean) * (each - mean) / (kSeeds - 1);
  const double half = 2.201 * std::sqrt(variance / kSeeds);  // 95 % of Student's t, 11 degrees
  const Scenario queue = *find_scenario(name);
  const double service = servers / *queue.known_capacity;
  const double expected = erlang_wait(servers, load * *queue.known_capacity, service);
  EXPECT_NEAR(mean, expected, half);
  EXPECT_LT(half, 0.06 * expected);  // an interval that says something
}

INSTANTIATE_TEST_SUITE_P(Textbooks, QueueTest,
                         ::testing::Values(Textbook{"mm1", 1, 0.5}, Textbook{"mm1", 1, 0.8},
                                           Textbook{"mm4", 4, 0.5}, Textbook{"mm4", 4, 0.8}));

TEST(Erlang, AgreesWithItsSimplestCase) {
  // M/M/1: wait = load / (1 - load) * service.
  EXPECT_NEAR(erlang_wait(1, 0.8, 1), 4, 1e-12);
}

// --- conservation ---

class EveryPolicyTest : public ::testing::TestWithParam<std::string_view> {};

TEST_P(EveryPolicyTest, EndsEveryRequestOnce) {
  for (const char* name :
       {"over-bursts-sessions-aggressor", "tight-shift-agents-one", "crash", "slow-gpu",
        "lost-polls", "oom-load", "stranger", "fits-day-single-ten"}) {
    const Played run(scenario(name, 1.5, 800), GetParam(), 5);
    for (const Record& record : run.world->records()) {
      ASSERT_NE(record.arrived, kNever) << name;
      ASSERT_NE(record.outcome, Outcome::kOpen) << name;
      if (record.outcome != Outcome::kServed) continue;
      ASSERT_LE(record.arrived, record.sent);
      ASSERT_LE(record.sent, record.first);
      ASSERT_LE(record.first, record.ended);
    }
    for (InstanceIndex i = 0; i < run.scenario.fleet.gpus.size(); ++i) {
      for (const auto& runner : run.world->backend(i).runners()) {
        EXPECT_EQ(runner->users(), 0U) << name;
      }
      EXPECT_GE(run.world->backend(i).free_gb(), 0);
    }
  }
}

TEST_P(EveryPolicyTest, SlotSecondsAddUp) {
  const Played run(scenario("mm4", 2, 2000), GetParam(), 6);
  double sum = 0;
  double alone = 0;
  const Pace pace = run.scenario.fleet.pace(0, 0);
  for (JobIndex job = 0; job < run.workload.jobs.size(); ++job) {
    // Reading takes no time there: who gets a slot gets a token.
    sum += to_seconds(run.world->records()[job].ended - run.world->records()[job].first);
    alone += (run.workload.jobs[job].output - 1) * pace.token;
  }
  const double slots = run.world->backend(0).totals().slot_s;
  EXPECT_NEAR(slots, sum, 1e-4 * sum);
  EXPECT_NEAR(slots, alone, 1e-4 * alone);
}

TEST_P(EveryPolicyTest, TheSameSeedGivesTheSameResultByteForByte) {
  Plan plan;
  plan.policies = {find_policy(GetParam())};
  plan.seeds = 2;
  plan.requests = 500;
  const auto once = [&] {
    return comparison_json(
        compare(*find_scenario("over-gamma-sessions-ten"), plan, [](const std::string&) {}));
  };
  EXPECT_EQ(once(), once());
}

std::vector<std::string_view> all_policies() {
  std::vector<std::string_view> names;
  for (const Policy& policy : policies()) names.push_back(policy.name);
  return names;
}
INSTANTIATE_TEST_SUITE_P(Policies, EveryPolicyTest, ::testing::ValuesIn(all_policies()),
                         [](const auto& name) { return std::string(name.param); });

// --- the yardstick ---

// Its goal is goodput: whoever waits for more than 5 s already lets others go first who would be
// too late next. So it is no optimum of waiting, and who serves in order has shorter waits with the
// same knowledge: itself, served in order, has 0.65 times the p99 in fits-poisson-single-ten at
// 0.7, and one to four points less goodput. Who knows less may be better by that much, and not by
// more.
constexpr double kShorter = 0.6;
// In points of goodput: twenty seeds show none where three show one.
constexpr double kNoise = 1.0;

struct Contest {
  const char* scenario;
  double load;
  std::uint32_t seeds = 3;
};

class ClairvoyantTest : public ::testing::TestWithParam<Contest> {};

// A policy that beats the one that knows everything knows something that it cannot know, or the
// yardstick is too short: both have to be looked at.
TEST_P(ClairvoyantTest, NoPolicyBeatsIt) {
  Plan plan;
  plan.policies.push_back(find_policy("clairvoyant"));
  for (const Policy& policy : policies()) {
    if (policy.name != "clairvoyant") plan.policies.push_back(&policy);
  }
  plan.seeds = GetParam().seeds;
  plan.requests = 2000;  // with 1500 that come in bursts the capacity is a fifth too high
  plan.load = GetParam().load;
  const Comparison comparison =
      compare(*find_scenario(GetParam().scenario), plan, [](const std::string&) {});
  const double best = comparison.value(0, Metric::kGoodput).median;
  for (std::size_t i = 1; i < plan.policies.size(); ++i) {
    // Who sends some away serves the others better; the clairvoyant serves everybody.
    if (comparison.value(i, Metric::kShed).median > 1) continue;
    EXPECT_LE(comparison.value(i, Metric::kGoodput).median, best + kNoise)
        << plan.policies[i]->name;
    const double p99 = comparison.ratio(i, Metric::kTtftP99)->median;
    const double mean = comparison.ratio(i, Metric::kTtftMean)->median;
    EXPECT_GT(std::max(p99, mean), kShorter)
        << plan.policies[i]->name << ": " << p99 << " of its p99, " << mean << " of its mean";
  }
}

// The last ones because somebody came closest there, of all scenarios. Left out are those that it
// is no yardstick for (docs/simulator.md): with an aggressor, and pair-one.
INSTANTIATE_TEST_SUITE_P(
    Contests, ClairvoyantTest,
    ::testing::Values(
        Contest{"fits-poisson-sessions-one", 0.7}, Contest{"fits-poisson-sessions-one", 1.0},
        Contest{"fits-gamma-single-ten", 0.7}, Contest{"fits-gamma-single-ten", 1.0},
        Contest{"over-poisson-sessions-one", 0.7}, Contest{"over-poisson-sessions-one", 1.0},
        Contest{"over-bursts-single-one", 0.7}, Contest{"over-bursts-single-one", 1.0, 10},
        Contest{"tight-day-agents-ten", 0.7}, Contest{"tight-day-agents-ten", 1.0},
        Contest{"tight-shift-sessions-one", 0.7}, Contest{"tight-shift-sessions-one", 1.0},
        Contest{"fits-poisson-single-ten", 0.7}, Contest{"fits-poisson-agents-one", 0.7, 10},
        Contest{"fits-bursts-sessions-one", 0.7}, Contest{"fits-gamma-single-one", 0.7, 10}),
    [](const auto& contest) {
      std::string name = fmt::format("{}_{:.0f}", contest.param.scenario, 100 * contest.param.load);
      std::ranges::replace(name, '-', '_');
      return name;
    });

TEST(Clairvoyant, DefinesTheCapacityAsTheRateThatItServesWell) {
  Scenario found = *find_scenario("fits-poisson-sessions-one");
  const double capacity = capacity_of(found, 2000);
  found.traffic.requests = 2000;
  const auto goodput = [&](double rate) {
    found.traffic.rate = rate;
    return at(run_once(found, *find_policy("clairvoyant"), 1), Metric::kGoodput);
  };
  EXPECT_GE(goodput(capacity), 95);
  EXPECT_LT(goodput(1.3 * capacity), 95);
}

// --- a million requests ---

// What a run costs, in things that can be counted: a clock would tell of the machine, too.
struct Effort {
  double world = 0;      // events of the world, for each request
  double scheduler = 0;  // and of the scheduler
};

Effort effort_of(std::string_view name, std::string_view policy, double rate,
                 std::uint32_t requests) {
  const Scenario busy = scenario(name, rate, requests);
  const Workload workload = make_workload(busy.traffic, busy.fleet, 1);
  World world(busy.fleet, workload);
  const std::unique_ptr<Router> router = find_policy(policy)->make(world, 1);
  Stopwatch watch([] { return Duration{}; });
  router->time_with(watch);
  world.run(*router);
  return {static_cast<double>(world.events()) / requests,
          static_cast<double>(watch.count()) / requests};
}

TEST(Effort, TenTimesTheRequestsAreTenTimesTheEvents) {
  struct Row {
    const char* name;
    const char* policy;
    double rate;  // 90 % of the capacity
  };
  for (const Row& row : {Row{"fits-poisson-sessions-one", "expected_completion", 2.5},
                         Row{"over-poisson-sessions-one", "least_loaded", 0.5}}) {
    const Effort few = effort_of(row.name, row.policy, row.rate, 800);
    const Effort many = effort_of(row.name, row.policy, row.rate, 8000);
    EXPECT_LT(many.world, 1.05 * few.world) << row.name;
    EXPECT_LT(many.scheduler, 1.05 * few.scheduler) << row.name;
    EXPECT_LT(many.world, 20) << row.name;
    EXPECT_LT(many.scheduler, 18) << row.name;
  }
}

}  // namespace
}  // namespace drover::sim
