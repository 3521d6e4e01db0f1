// Restarts that drover wants: what happens to requests, when the order goes out, when it is over.

#include "core/restart.h"

#include <gtest/gtest.h>

#include "core/testing.h"

namespace drover::core {
namespace {

using testing::Asked;
using testing::Script;
using namespace std::chrono_literals;

std::vector<BackendSpec> supervised(std::uint32_t count) {
  std::vector<BackendSpec> all = testing::specs(count);
  for (BackendSpec& spec : all) spec.supervised = true;
  return all;
}

struct TwoRunning : Script {
  TwoRunning() : Script(supervised(2)) {
    all_have({"m"});
    process(0, 1);
    process(1, 1);
  }
};

TEST(Starting, AnInstanceThatNobodyHeardYetIsNotDownAndIsAskedWhenItRuns) {
  Script fleet(supervised(1));
  fleet.refuses(0);
  EXPECT_EQ(fleet.health(0), HealthState::kUnknown);
  const int before = fleet.refreshes();
  fleet.process(0, 1);
  EXPECT_EQ(fleet.refreshes(), before + 1);
  fleet.has(0, {"m"});
  EXPECT_EQ(fleet.health(0), HealthState::kUp);
  fleet.refuses(0);
  EXPECT_EQ(fleet.health(0), HealthState::kDown);
}

TEST(Restart, OfAnIdleInstanceIsOrderedAtOnce) {
  TwoRunning fleet;
  fleet.restart(0);
  ASSERT_EQ(fleet.restarts().size(), 1U);
  EXPECT_EQ(fleet.restarts()[0].backend, BackendId{0});
  EXPECT_EQ(fleet.restarts()[0].cause, RestartCause::kOperator);
  EXPECT_EQ(fleet.restarts()[0].reason, "asked for");
  EXPECT_EQ(fleet.health(0), HealthState::kDraining);
  EXPECT_EQ(fleet.view(0).reason, "is being restarted: asked for");
}

TEST(Restart, GivesNewRequestsToOthersAndLetsStreamsEnd) {
  TwoRunning fleet;
  const Asked streaming = fleet.ask("m");
  ASSERT_EQ(streaming.at(), 0);
  fleet.first_byte(streaming);
  fleet.restart(0);
  EXPECT_TRUE(fleet.restarts().empty());
  EXPECT_TRUE(fleet.revoked().empty());
  EXPECT_EQ(fleet.ask("m").at(), 1);
  fleet.served(streaming);
  EXPECT_EQ(fleet.restarts().size(), 1U);
}

TEST(Restart, MovesRequestsWithoutAFirstByteWhereAnotherServesThem) {
  TwoRunning fleet;
  const Asked waiting = fleet.ask("m");
  fleet.restart(0);
  ASSERT_EQ(fleet.revoked().size(), 1U);
  EXPECT_EQ(fleet.revoked()[0], waiting.granted->lease);
}

TEST(Restart, LetsRequestsOfALoneInstanceEndThere) {
  Script fleet(supervised(1));
  fleet.has(0, {"m"});
  fleet.process(0, 1);
  const Asked waiting = fleet.ask("m");
  fleet.restart(0);
  EXPECT_TRUE(fleet.revoked().empty());
  EXPECT_TRUE(fleet.restarts().empty());
  fleet.served(waiting);
  EXPECT_EQ(fleet.restarts().size(), 1U);
}

TEST(Restart, IsOrderedWhenTheGraceIsOverWhateverIsUnderWay) {
  TwoRunning fleet;
  const Asked streaming = fleet.ask("m");
  fleet.first_byte(streaming);
  fleet.restart(0, 30s);
  fleet.pass(29s);
  EXPECT_TRUE(fleet.restarts().empty());
  fleet.pass(1s);
  EXPECT_EQ(fleet.restarts().size(), 1U);
  fleet.pass(10s);
  EXPECT_EQ(fleet.restarts().size(), 1U);
}

TEST(Restart, EndsWhenTheNewProcessAnswersAndTheInstanceIsUpAtOnce) {
  TwoRunning fleet;
  fleet.restart(0);
  fleet.answers(0);  // still the old one
  EXPECT_EQ(fleet.health(0), HealthState::kDraining);
  fleet.refuses(0);
  fleet.process(0, 2);
  EXPECT_EQ(fleet.health(0), HealthState::kDraining);
  fleet.has(0, {"m"});
  EXPECT_EQ(fleet.health(0), HealthState::kUp);
  EXPECT_FALSE(fleet.view(0).restarting);
}

TEST(Restart, ThatNobodyCarriesOutIsGivenUp) {
  TwoRunning fleet;
  fleet.restart(0);
  fleet.pass_with_checks(4min, {0, 1});
  EXPECT_TRUE(fleet.view(0).restarting);
  fleet.pass_with_checks(2min, {0, 1});
  EXPECT_FALSE(fleet.view(0).restarting);
  EXPECT_EQ(fleet.health(0), HealthState::kUp);
}

TEST(Restart, IsCalledOffByUndrainWhileItDrains) {
  TwoRunning fleet;
  const Asked streaming = fleet.ask("m");
  fleet.first_byte(streaming);
  fleet.restart(0);
  fleet.drain(0, false);
  EXPECT_EQ(fleet.health(0), HealthState::kUp);
  fleet.served(streaming);
  EXPECT_TRUE(fleet.restarts().empty());
}

TEST(Restart, LeavesAnOperatorsDrainInForce) {
  TwoRunning fleet;
  fleet.drain(0, true);
  fleet.restart(0);
  fleet.process(0, 2);
  fleet.has(0, {"m"});
  EXPECT_EQ(fleet.health(0), HealthState::kDraining);
  EXPECT_EQ(fleet.view(0).reason, "drained by an operator");
}

TEST(Restart, OfAForeignInstanceIsNeverOrdered) {
  Script fleet(1);
  fleet.has(0, {"m"});
  fleet.restart(0);
  EXPECT_TRUE(fleet.restarts().empty());
  EXPECT_EQ(fleet.health(0), HealthState::kUp);
}

TEST(Restart, AMoreUrgentOneDoesNotWaitForTheGraceOfTheOther) {
  Restart restart;
  EXPECT_TRUE(restart.begin(RestartCause::kOperator, "later", Instant(600s)));
  EXPECT_FALSE(restart.begin(RestartCause::kCpuFallback, "no sooner", Instant(600s)));
  EXPECT_TRUE(restart.begin(RestartCause::kHang, "now", Instant(5s)));
  EXPECT_TRUE(restart.due(3, Instant(5s)));
  EXPECT_EQ(restart.cause(), RestartCause::kHang);
}

}  // namespace
}  // namespace drover::core
