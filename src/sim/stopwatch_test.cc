#include "sim/stopwatch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/report.h"

namespace drover::sim {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

TEST(Stopwatch, TellsQuantilesWithinAStep) {
  Stopwatch watch([] { return 0ns; });
  for (int i = 1; i <= 1000; ++i) watch.took(i * 1us);
  EXPECT_EQ(watch.count(), 1000U);
  EXPECT_NEAR(watch.quantile_us(0.5), 500, 10);
  EXPECT_NEAR(watch.quantile_us(0.99), 990, 20);
  EXPECT_NEAR(watch.quantile_us(1), 1000, 20);
}

TEST(Stopwatch, ShortestAndLongestAreWithinItsSteps) {
  Stopwatch watch([] { return 0ns; });
  EXPECT_EQ(watch.quantile_us(0.5), 0);
  watch.took(0ns);
  EXPECT_NEAR(watch.quantile_us(0.5), 0.001, 1e-6);
  watch.took(1h);
  EXPECT_GT(watch.quantile_us(1), 1e7);
}

// Each look at this clock takes 2 us: so does each event.
Plan timed() {
  Plan plan;
  plan.policies = {find_policy("expected_completion"), find_policy("affinity")};
  plan.seeds = 2;
  plan.requests = 200;
  auto looks = std::make_shared<int>(0);
  plan.clock = [looks] { return ++*looks * 2us; };
  return plan;
}

Comparison compared(const Plan& plan) {
  return compare(*find_scenario("mm4"), plan, [](const std::string&) {});
}

TEST(DecisionTime, IsThatOfEachEventOfTheScheduler) {
  const Comparison comparison = compared(timed());
  ASSERT_EQ(comparison.decisions.size(), 2U);
  const Stopwatch& core = comparison.decisions[0];
  EXPECT_GT(core.count(), 3 * 2 * 200U);  // a request comes, has its first token, and ends
  EXPECT_NEAR(core.quantile_us(0.5), 2, 0.04);
  EXPECT_NEAR(core.quantile_us(0.99), 2, 0.04);
  EXPECT_EQ(comparison.decisions[1].count(), 0U) << "a baseline is not timed";
  EXPECT_THAT(comparison_text(comparison), HasSubstr("expected_completion p50 2.0, p99 2.0 us"));
  EXPECT_THAT(comparison_text(comparison), Not(HasSubstr("affinity p50")));
  EXPECT_THAT(comparison_json(comparison), HasSubstr(R"("event_us":{"events":)"));
}

TEST(DecisionTime, ChangesNothingElse) {
  const Plan plan = timed();
  Plan untimed = plan;
  untimed.clock = nullptr;
  const Comparison with = compared(plan);
  const Comparison without = compared(untimed);
  EXPECT_TRUE(without.decisions.empty());
  EXPECT_THAT(comparison_json(without), Not(HasSubstr("event_us")));
  Comparison shorn = with;
  shorn.decisions.clear();
  EXPECT_EQ(comparison_json(shorn), comparison_json(without));
  EXPECT_EQ(comparison_text(shorn), comparison_text(without));
}

}  // namespace
}  // namespace drover::sim
