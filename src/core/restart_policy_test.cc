#include "core/restart_policy.h"

#include <gtest/gtest.h>

namespace drover::core {
namespace {

using namespace std::chrono_literals;
using Action = RestartVerdict::Action;

RestartRules without_jitter() {
  RestartRules rules;
  rules.jitter = 0;
  rules.failures_to_quarantine = 100;
  return rules;
}

TEST(RestartPolicy, WaitsTwiceAsLongEachTimeUpToItsBound) {
  RestartPolicy policy(without_jitter(), 1);
  Instant now(1000s);
  std::vector<Duration> waits;
  for (int i = 0; i < 10; ++i) waits.push_back(policy.failed(now += 1s, "exit code 1").wait);
  const std::vector<Duration> expected = {500ms, 1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s, 60s};
  EXPECT_EQ(waits, expected);
}

TEST(RestartPolicy, AServedRequestBringsBackTheShortWait) {
  RestartPolicy policy(without_jitter(), 1);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(policy.failed(Instant(1000s), "x").action, Action::kStart);
  policy.served();
  EXPECT_EQ(policy.failed(Instant(1001s), "x").wait, 500ms);
}

TEST(RestartPolicy, JitterOnlyAddsAndAtMostItsShare) {
  RestartRules rules;
  rules.failures_to_quarantine = 1000;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    RestartPolicy policy(rules, seed);
    const Duration wait = policy.failed(Instant(1000s), "x").wait;
    EXPECT_GE(wait, 500ms) << "seed " << seed;
    EXPECT_LE(wait, 750ms) << "seed " << seed;
  }
}

TEST(RestartPolicy, TheFifthFailureInTenMinutesIsQuarantineWithReasonAndRemedy) {
  RestartPolicy policy(RestartRules{}, 1);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(policy.failed(Instant(1000s) + i * 1min, "killed by signal 9").action,
              Action::kStart);
  }
  const RestartVerdict verdict = policy.failed(Instant(1000s) + 9min, "killed by signal 9");
  EXPECT_EQ(verdict.action, Action::kQuarantine);
  EXPECT_NE(verdict.reason.find("killed by signal 9"), std::string::npos);
  EXPECT_NE(verdict.reason.find("drover backends restart"), std::string::npos);
}

TEST(RestartPolicy, FailuresOutsideTheWindowAreForgotten) {
  RestartPolicy policy(RestartRules{}, 1);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(policy.failed(Instant(1000s) + i * 3min, "x").action, Action::kStart) << i;
  }
}

TEST(RestartPolicy, AServedRequestBetweenAvertsTheQuarantine) {
  RestartPolicy policy(RestartRules{}, 1);
  for (int i = 0; i < 4; ++i) (void)policy.failed(Instant(1000s), "x");
  policy.served();
  EXPECT_EQ(policy.failed(Instant(1001s), "x").action, Action::kStart);
}

}  // namespace
}  // namespace drover::core
