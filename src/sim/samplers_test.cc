#include "sim/samplers.h"

#include <cmath>

#include <gtest/gtest.h>

#include "sim/workload.h"

namespace drover::sim {
namespace {

struct Moments {
  double mean = 0;
  double variation = 0;  // deviation over mean
};
template <class Sample>
Moments moments(Sample sample) {
  constexpr int kCount = 200'000;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < kCount; ++i) {
    const double x = sample();
    sum += x;
    squares += x * x;
  }
  const double mean = sum / kCount;
  return {mean, std::sqrt(squares / kCount - mean * mean) / mean};
}

TEST(Samplers, HaveTheMomentsOfTheirDistributions) {
  Rng rng(1);
  const Moments gaps = moments([&] { return exponential(rng, 3); });
  EXPECT_NEAR(gaps.mean, 3, 0.03);
  EXPECT_NEAR(gaps.variation, 1, 0.01);
  const Moments clumps = moments([&] { return GammaGaps{2}.sample(rng); });
  EXPECT_NEAR(clumps.mean, 1, 0.02);
  EXPECT_NEAR(clumps.variation, 2, 0.04);
  const Moments tokens = moments([&] { return Lognormal{5.02, 0.86}.sample(rng); });
  EXPECT_NEAR(tokens.mean, std::exp(5.02 + 0.86 * 0.86 / 2), 4);
  const Moments turns = moments([&] { return static_cast<double>(geometric(rng, 1.0 / 3)); });
  EXPECT_NEAR(turns.mean, 3, 0.03);
}

TEST(Samplers, ZipfPrefersLowRanksAsMuchAsItSays) {
  Rng rng(2);
  const Zipf zipf(12, 1.0);
  std::vector<int> counts(12);
  for (int i = 0; i < 100'000; ++i) ++counts[zipf.sample(rng)];
  for (std::size_t rank = 0; rank < counts.size(); ++rank) {
    EXPECT_NEAR(counts[rank] / 100'000.0, zipf.probability(rank), 0.005) << rank;
  }
  EXPECT_NEAR(zipf.probability(0) / zipf.probability(9), 10, 1e-9);
}

// What a seed means is a promise: numbers of today are compared with those of next year.
TEST(Samplers, ASeedMeansTheSameTrafficForEver) {
  Rng rng(42);
  EXPECT_NEAR(exponential(rng, 1), 1.35311059824, 1e-9);
  EXPECT_NEAR(normal(rng), -0.10551648194, 1e-9);
}

double mean_rate(const Workload& workload) {
  return static_cast<double>(workload.jobs.size()) /
         to_seconds(workload.last_arrival.time_since_epoch());
}

TEST(Workload, BringsTheRateThatWasAskedForInEveryShape) {
  const Fleet fleet = mixed_fleet(0.9);
  for (const Arrivals arrivals : {Arrivals::kPoisson, Arrivals::kGamma, Arrivals::kBursts,
                                  Arrivals::kDay, Arrivals::kShift}) {
    for (const Talk talk : {Talk::kSingle, Talk::kSessions}) {
      Traffic traffic{.arrivals = arrivals, .talk = talk, .rate = 2, .requests = 40'000};
      const Workload workload = make_workload(traffic, fleet, 3);
      EXPECT_NEAR(mean_rate(workload), 2, 0.25)
          << static_cast<int>(arrivals) << static_cast<int>(talk);
    }
  }
}

TEST(Workload, SingleQuestionsAreAsLongAsInTheTrace) {
  const Workload workload = make_workload({.rate = 1, .requests = 20'000}, mixed_fleet(0.9), 1);
  double prompts = 0;
  double outputs = 0;
  for (const Job& job : workload.jobs) {
    prompts += job.prompt;
    outputs += job.output;
  }
  // Azure LLM 2023, conversations: 1155 and 211 in the mean.
  EXPECT_NEAR(prompts / 20'000, 1155, 120);
  EXPECT_NEAR(outputs / 20'000, 211, 21);
}

TEST(Workload, TurnsOfAConversationBeginWithTheTurnsBefore) {
  const Workload workload =
      make_workload({.talk = Talk::kSessions, .requests = 2000}, mixed_fleet(0.9), 1);
  std::size_t followers = 0;
  for (const Job& job : workload.jobs) {
    if (job.next == kNoJob) continue;
    const Job& next = workload.jobs[job.next];
    EXPECT_EQ(next.history, job.prompt + job.output);
    EXPECT_GT(next.prompt, next.history);
    EXPECT_EQ(next.model, job.model);
    EXPECT_EQ(next.session, job.session);
    ++followers;
  }
  EXPECT_GT(followers, 1000U);
}

TEST(Workload, TheAggressorAsksThreeTimesAsMuchAsTheOthers) {
  const Workload workload =
      make_workload({.tenants = Tenants::kAggressor, .requests = 20'000}, mixed_fleet(0.9), 1);
  double first = 0;
  for (const Job& job : workload.jobs) first += job.tenant == 0 ? 1 : 0;
  EXPECT_NEAR(first / 20'000, 0.75, 0.02);
}

}  // namespace
}  // namespace drover::sim
