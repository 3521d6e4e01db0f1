// What goes wrong in a simulated world, and what routers make of it.

#include <algorithm>
#include <array>

#include <gtest/gtest.h>

#include "sim/core_router.h"
#include "sim/testing.h"

namespace drover::sim {
namespace {

using testing::Played;
using testing::scenario;

constexpr InstanceIndex kHurt = 0;
constexpr std::array<std::string_view, 2> kOurs = {"expected_completion", "least_loaded"};

std::size_t count(const Played& run, Outcome outcome) {
  return static_cast<std::size_t>(
      std::ranges::count(run.world->records(), outcome, &Record::outcome));
}

double first_p99(const Played& run) {
  std::vector<double> waits;
  for (const Record& record : run.world->records()) {
    if (record.first != kNever) waits.push_back(to_seconds(record.first - record.arrived));
  }
  return quantile(std::move(waits), 0.99);
}

// The middle third of the run, but no longer than `longest`.
Fault fault_of(const Workload& workload, Fault::Kind kind, Duration longest) {
  Fault fault;
  fault.kind = kind;
  fault.instance = kHurt;
  fault.from = Instant(workload.last_arrival.time_since_epoch() / 3);
  fault.until = fault.from + longest;
  return fault;
}

// Hears what the production scheduler is told of the one that is hurt.
class Listening : public CoreRouter {
 public:
  using CoreRouter::CoreRouter;
  void unanswered(InstanceIndex instance, Instant now, Orders& orders) override {
    EXPECT_EQ(instance, kHurt);
    unanswered_at.push_back(now);
    CoreRouter::unanswered(instance, now, orders);
  }
  void polled(InstanceIndex instance, std::span<const ModelIndex> loaded, Instant now,
              Orders& orders) override {
    if (instance == kHurt) polled_at.push_back(now);
    CoreRouter::polled(instance, loaded, now, orders);
  }
  void loaded(InstanceIndex instance, ModelIndex model, bool done, Instant now,
              Orders& orders) override {
    if (!done) {
      EXPECT_EQ(instance, kHurt);
      ++failed_loads;
    }
    CoreRouter::loaded(instance, model, done, now, orders);
  }
  void ended(JobIndex job, Ending ending, const Served& served, Instant now,
             Orders& orders) override {
    failed_requests += ending == Ending::kFailed ? 1 : 0;
    taken_back += ending == Ending::kTakenBack ? 1 : 0;
    CoreRouter::ended(job, ending, served, now, orders);
  }
  std::vector<Instant> unanswered_at, polled_at;
  std::size_t failed_loads = 0, failed_requests = 0, taken_back = 0;
};

// As Played, with the production scheduler and one that listens.
struct Heard {
  Scenario scenario;
  Workload workload;
  std::unique_ptr<World> world;
  std::unique_ptr<Listening> router;
  Fault fault;

  template <class Make>
  Heard(Scenario chosen, core::PolicyName policy, std::uint64_t seed, Make make)
      : scenario(std::move(chosen)),
        workload(make_workload(scenario.traffic, scenario.fleet, seed)),
        fault(make(workload)) {
    world = std::make_unique<World>(scenario.fleet, workload, std::vector<Fault>{fault});
    router = std::make_unique<Listening>(policy, seed, scenario.fleet, workload);
    world->run(*router);
  }
};

// --- all ---

class TroubleTest : public ::testing::TestWithParam<std::string_view> {};

TEST_P(TroubleTest, TheSameSeedGivesTheSameRecords) {
  for (const std::string_view policy : kOurs) {
    const Played one(scenario(GetParam(), 2, 600), policy, 4);
    const Played two(scenario(GetParam(), 2, 600), policy, 4);
    EXPECT_EQ(one.world->records(), two.world->records());
    EXPECT_EQ(one.world->now(), two.world->now());
  }
}

TEST_P(TroubleTest, IsOneOfForeignInstancesToo) {
  const std::string name = "foreign-" + std::string(GetParam());
  const Played run(scenario(name, 2, 400), "expected_completion", 4);
  EXPECT_FALSE(run.scenario.fleet.supervised);
  EXPECT_EQ(count(run, Outcome::kOpen), 0U);
  EXPECT_FALSE(faults_of(run.scenario, run.workload).empty());
}

INSTANTIATE_TEST_SUITE_P(All, TroubleTest,
                         ::testing::Values("crash", "slow-gpu", "lost-polls", "no-polls",
                                           "oom-load", "stranger", "strangers"),
                         [](const auto& name) {
                           std::string word(name.param);
                           std::erase(word, '-');
                           return word;
                         });

// --- crashes and slow GPUs ---

TEST(Crash, IsRetriedElsewhereAndTheInstanceComesBack) {
  const Played run(scenario("crash", 2, 2000), "least_loaded", 1);
  std::size_t failed = 0;
  std::size_t retried = 0;
  bool came_back = false;
  const Fault fault = faults_of(run.scenario, run.workload).front();
  for (const Record& record : run.world->records()) {
    failed += record.outcome == Outcome::kFailed ? 1 : 0;
    retried += record.attempts > 1 ? 1 : 0;
    const bool there = record.outcome == Outcome::kServed && record.instance == fault.instance;
    // Nobody was served there while it was away.
    EXPECT_FALSE(there && record.ended > fault.from && record.first < fault.until);
    came_back |= there && record.first > fault.until;
  }
  EXPECT_LE(failed, 16U);  // those that had their first token
  EXPECT_GT(retried, 0U);
  EXPECT_TRUE(came_back);
}

// Seconds for a token there, in multiples of what the model alone takes.
double slowness(const Played& run, Instant from, Instant until) {
  double sum = 0;
  double count = 0;
  for (JobIndex job = 0; job < run.workload.jobs.size(); ++job) {
    const Record& record = run.world->records()[job];
    const Job& what = run.workload.jobs[job];
    if (record.instance != 0 || record.first < from || record.ended > until) continue;
    if (what.output < 2 || record.outcome != Outcome::kServed) continue;
    const double gap = to_seconds(record.ended - record.first) / (what.output - 1);
    sum += gap / run.scenario.fleet.pace(0, what.model).token;
    ++count;
  }
  return sum / count;
}

TEST(SlowGpu, WritesSlowlyAndRecovers) {
  const Played run(scenario("slow-gpu", 0.5, 1500), "random", 1);
  const Fault fault = faults_of(run.scenario, run.workload).front();
  const double before = slowness(run, Instant{}, fault.from);
  const double during = slowness(run, fault.from, fault.until);
  const double after = slowness(run, fault.until, kNever);
  EXPECT_GT(during, 2 * before);
  EXPECT_GT(during, 2 * after);
}

// --- lost polls ---

// Two in a row are forgiven: /api/ps waits for unloads.
TEST(LostPolls, TwoInARowTakeNobodyAway) {
  for (const auto policy :
       {core::PolicyName::kExpectedCompletion, core::PolicyName::kLeastLoaded}) {
    const Heard run(scenario("fits-poisson-sessions-one", 2, 1000), policy, 1,
                    [](const Workload& workload) {
                      return fault_of(workload, Fault::Kind::kLostPolls, std::chrono::seconds(9));
                    });
    // Asked again as soon as the last one is given up.
    ASSERT_EQ(run.router->unanswered_at.size(), 2U);
    EXPECT_EQ(run.router->unanswered_at[1] - run.router->unanswered_at[0], std::chrono::seconds(5));
    EXPECT_EQ(run.router->taken_back, 0U);
    std::size_t served = 0;
    for (const Record& record : run.world->records()) {
      EXPECT_EQ(record.outcome, Outcome::kServed);
      EXPECT_EQ(record.attempts, 1U);
      const bool meanwhile = record.sent > run.fault.from && record.sent < run.fault.until;
      served += meanwhile && record.instance == kHurt ? 1 : 0;
    }
    EXPECT_GT(served, 0U);
  }
}

// The third says that it is wedged: what waits there for a first token is asked of others, and what
// has one is left alone.
TEST(LostPolls, ThreeInARowSendEverybodyElsewhereOnce) {
  for (const auto policy :
       {core::PolicyName::kExpectedCompletion, core::PolicyName::kLeastLoaded}) {
    const Heard run(scenario("fits-poisson-sessions-one", 3, 2000), policy, 1,
                    [](const Workload& workload) {
                      return fault_of(workload, Fault::Kind::kLostPolls, std::chrono::minutes(2));
                    });
    ASSERT_GT(run.router->unanswered_at.size(), 3U);
    const Instant out = run.router->unanswered_at[2];
    EXPECT_LE(out, run.fault.from + std::chrono::seconds(17));
    bool came_back = false;
    for (const Record& record : run.world->records()) {
      EXPECT_EQ(record.outcome, Outcome::kServed);
      EXPECT_LE(record.attempts, 2U);
      if (record.instance != kHurt) continue;
      EXPECT_FALSE(record.sent > out && record.sent < run.fault.until);
      came_back |= record.sent > run.fault.until;
    }
    EXPECT_TRUE(came_back);
  }
}

TEST(LostPolls, HalfOfThemAreLostByChance) {
  const Heard run(scenario("fits-poisson-sessions-one", 2, 2000),
                  core::PolicyName::kExpectedCompletion, 1, [](const Workload& workload) {
                    Fault fault =
                        fault_of(workload, Fault::Kind::kLostPolls, std::chrono::seconds(600));
                    fault.lost = 0.5;
                    return fault;
                  });
  const auto seen =
      static_cast<double>(std::ranges::count_if(run.router->polled_at, [&](Instant when) {
        return when >= run.fault.from && when < run.fault.until;
      }));
  const auto missed = static_cast<double>(run.router->unanswered_at.size());
  EXPECT_NEAR(missed / (missed + seen), 0.5, 0.1);
}

// --- loads that run out of memory ---

TEST(OutOfMemory, FailsLoadsOfOneInstanceAndNoRequestThatOthersCanServe) {
  for (const auto policy :
       {core::PolicyName::kExpectedCompletion, core::PolicyName::kLeastLoaded}) {
    const Heard run(
        scenario("over-poisson-sessions-one", 1, 1000), policy, 1, [](const Workload& workload) {
          return fault_of(workload, Fault::Kind::kOutOfMemory, std::chrono::seconds(300));
        });
    EXPECT_GT(run.world->backend(kHurt).totals().failed_loads, 0U);
    EXPECT_GT(run.router->failed_loads + run.router->failed_requests, 0U);
    for (InstanceIndex i = 1; i < run.scenario.fleet.gpus.size(); ++i) {
      EXPECT_EQ(run.world->backend(i).totals().failed_loads, 0U);
    }
    EXPECT_EQ(std::ranges::count(run.world->records(), Outcome::kServed, &Record::outcome),
              std::ssize(run.world->records()));
  }
}

// Planned loads are answered as well as requests that cause one by themselves: least_loaded orders
// none, expected_completion causes hardly any other.
TEST(OutOfMemory, IsToldOfLoadsThatWereOrderedAndOfRequests) {
  const auto fault = [](const Workload& workload) {
    return fault_of(workload, Fault::Kind::kOutOfMemory, std::chrono::seconds(300));
  };
  const Scenario over = scenario("over-poisson-sessions-one", 1, 1000);
  const Heard planned(over, core::PolicyName::kExpectedCompletion, 1, fault);
  EXPECT_GT(planned.router->failed_loads, 0U);
  const Heard caused(over, core::PolicyName::kLeastLoaded, 1, fault);
  EXPECT_EQ(caused.router->failed_loads, 0U);
  EXPECT_GT(caused.router->failed_requests, 0U);
}

// --- strangers ---

TEST(Strangers, TakeSlotsAndLoadModelsAndAreNobodysRequests) {
  const Played run(scenario("stranger", 2, 2000), "expected_completion", 1);
  const StrangerCounts& strangers = run.world->strangers();
  EXPECT_GT(strangers.sent, 20U);
  EXPECT_EQ(strangers.sent, strangers.served + strangers.turned_away);
  EXPECT_GT(strangers.served, 0U);
  EXPECT_EQ(run.world->records().size(), run.workload.jobs.size());
  for (InstanceIndex i = 0; i < run.scenario.fleet.gpus.size(); ++i) {
    const BackendTotals& totals = run.world->backend(i).totals();
    EXPECT_EQ(totals.stranger_slot_s > 0, i == kHurt);
    EXPECT_EQ(totals.stranger_loads > 0, i == kHurt);
    for (const auto& runner : run.world->backend(i).runners()) EXPECT_EQ(runner->users(), 0U);
  }
}

TEST(Strangers, AreEverywhereWhereThatIsSaid) {
  const Played run(scenario("strangers", 2, 2000), "least_loaded", 1);
  EXPECT_EQ(run.world->strangers().sent,
            run.world->strangers().served + run.world->strangers().turned_away);
  for (InstanceIndex i = 0; i < run.scenario.fleet.gpus.size(); ++i) {
    EXPECT_GT(run.world->backend(i).totals().stranger_slot_s, 0) << i;
  }
}

// The same requests at the same instants, whoever routes the others.
TEST(Strangers, AreTheSameForEveryPolicy) {
  const Scenario both = scenario("stranger", 2, 1000);
  const Played one(both, "expected_completion", 3);
  const Played two(both, "random", 3);
  ASSERT_EQ(one.world->jobs().size(), two.world->jobs().size());
  ASSERT_GT(one.world->jobs().size(), one.workload.jobs.size());
  for (std::size_t i = one.workload.jobs.size(); i < one.world->jobs().size(); ++i) {
    EXPECT_EQ(one.world->jobs()[i].planned, two.world->jobs()[i].planned);
    EXPECT_EQ(one.world->jobs()[i].model, two.world->jobs()[i].model);
  }
}

// Nobody tells it of them: it has slower answers and /api/ps.
TEST(Strangers, CostExpectedCompletionHalfOfWhatTheyCostLeastLoadedAtMost) {
  for (const char* name : {"stranger", "strangers"}) {
    std::vector<double> ratios;
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      const Played expected(scenario(name, 2, 1000), kOurs[0], seed);
      const Played least(scenario(name, 2, 1000), kOurs[1], seed);
      EXPECT_EQ(count(expected, Outcome::kServed), expected.workload.jobs.size());
      ratios.push_back(first_p99(expected) / first_p99(least));
    }
    EXPECT_LE(quantile(ratios, 0.5), 0.5) << name;
  }
}

// --- another world ---

TEST(Unlike, IsAnyScenarioInAWorldThatIsNotWhatIsBelievedAtFirst) {
  const Scenario usual = *find_scenario("fits-poisson-sessions-one");
  const std::optional<Scenario> unlike = find_scenario("unlike-fits-poisson-sessions-one");
  ASSERT_TRUE(unlike);
  EXPECT_LT(unlike->fleet.prefill_share, usual.fleet.prefill_share);
  EXPECT_LT(unlike->fleet.bytes_per_token, usual.fleet.bytes_per_token);
  EXPECT_GT(unlike->fleet.pace(0, 0).batch, usual.fleet.pace(0, 0).batch);
  EXPECT_GT(unlike->fleet.load_s(0), usual.fleet.load_s(0));
  EXPECT_LT(unlike->fleet.cache_tokens(0), usual.fleet.cache_tokens(0));
  EXPECT_FALSE(find_scenario("foreign-unlike-pair-one")->fleet.supervised);
  EXPECT_FALSE(find_scenario("unlike-nothing"));
}

TEST(Unlike, AGpuThatReadsLessWhileOthersWriteReadsMoreSlowly) {
  const auto mean_first = [](double prefill_share) {
    Scenario both = scenario("pair-one", 1.0, 600);
    both.fleet.prefill_share = prefill_share;
    return at(run_once(both, *find_policy("random"), 2), Metric::kTtftMean);
  };
  EXPECT_GT(mean_first(0.35), 1.2 * mean_first(0.7));
}

TEST(Unlike, WhatIsBelievedWronglyDoesNotMakeItWorseThanLeastLoaded) {
  for (const auto& [name, most] :
       {std::pair("unlike-fits-poisson-sessions-one", 0.5), std::pair("unlike-pair-one", 1.0)}) {
    std::vector<double> ratios;
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      const Played expected(scenario(name, 1.0, 1000), kOurs[0], seed);
      const Played least(scenario(name, 1.0, 1000), kOurs[1], seed);
      ratios.push_back(first_p99(expected) / first_p99(least));
    }
    EXPECT_LE(quantile(ratios, 0.5), most) << name;
  }
}

}  // namespace
}  // namespace drover::sim
