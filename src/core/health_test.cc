// The life of an instance as scripts: what it does, what is seen, whether it is used.

#include "core/health.h"

#include <gtest/gtest.h>

#include "core/testing.h"

namespace drover::core {
namespace {

using testing::Asked;
using testing::Kind;
using testing::Script;
using namespace std::chrono_literals;

TEST(Health, AnyHttpAnswerMakesAnUnknownInstanceUp) {
  for (const Kind kind : {Kind::kAnswered, Kind::kVersion}) {
    Script fleet(1);
    EXPECT_EQ(fleet.health(0), HealthState::kUnknown);
    fleet.sees(0, kind);
    EXPECT_EQ(fleet.health(0), HealthState::kUp);
  }
  Script by_catalogue(1);
  by_catalogue.has(0, {"m"});
  EXPECT_EQ(by_catalogue.health(0), HealthState::kUp);
  Script by_residency(1);
  by_residency.has_loaded(0, {"m"});
  EXPECT_EQ(by_residency.health(0), HealthState::kUp);
}

TEST(Health, OneRefusedConnectionPutsItOut) {
  Script fleet(1);
  fleet.has(0, {"m"});
  fleet.refuses(0);
  EXPECT_EQ(fleet.health(0), HealthState::kDown);
  EXPECT_EQ(fleet.view(0).reason, "connection refused");
}

TEST(Health, ARefusedRequestPutsItOutAtOnce) {
  Script fleet(1);
  fleet.has(0, {"m"});
  fleet.ends(fleet.ask("m"), AttemptResult::kRefused);
  EXPECT_EQ(fleet.health(0), HealthState::kDown);
}

TEST(Health, TwoFailedRequestsInARowPutItOut) {
  for (const auto result :
       {AttemptResult::kFailed, AttemptResult::kDied, AttemptResult::kTimedOut}) {
    Script fleet(1);
    fleet.has(0, {"m"});
    fleet.ends(fleet.ask("m"), result);
    EXPECT_EQ(fleet.health(0), HealthState::kUp);
    fleet.ends(fleet.ask("m"), result);
    EXPECT_EQ(fleet.health(0), HealthState::kDown) << to_string(result);
  }
}

TEST(Health, AServedRequestBetweenFailuresForgives) {
  Script fleet(1);
  fleet.has(0, {"m"});
  for (int i = 0; i < 10; ++i) {
    fleet.failed(fleet.ask("m"));
    fleet.served(fleet.ask("m"));
  }
  EXPECT_EQ(fleet.health(0), HealthState::kUp);
}

TEST(Health, BusyGoneRevokedAndMissingModelsAreNoFailures) {
  Script fleet(1);
  fleet.has(0, {"m"});
  for (const auto result : {AttemptResult::kBusy, AttemptResult::kClientGone,
                            AttemptResult::kRevoked, AttemptResult::kNoModel}) {
    for (int i = 0; i < 3; ++i) {
      fleet.ends(fleet.ask("m"), result);
      fleet.has(0, {"m"});
    }
  }
  EXPECT_EQ(fleet.health(0), HealthState::kUp);
  EXPECT_EQ(fleet.view(0).failed, 0U);
}

TEST(Health, TwoMissedChecksInARowPutItOut) {
  Script fleet(1);
  fleet.has(0, {"m"});
  fleet.misses(0);
  fleet.answers(0);
  fleet.misses(0);
  EXPECT_EQ(fleet.health(0), HealthState::kUp);
  fleet.misses(0);
  EXPECT_EQ(fleet.health(0), HealthState::kDown);
}

TEST(Health, TheThirdSilenceOfResidencyMeansWedgedUntilItSpeaks) {
  Script fleet(1);
  fleet.has(0, {"m"});
  fleet.sees(0, Kind::kResidencyMissed);
  fleet.answers(0);
  fleet.sees(0, Kind::kResidencyMissed);
  fleet.answers(0);
  EXPECT_EQ(fleet.health(0), HealthState::kUp);
  fleet.sees(0, Kind::kResidencyMissed);
  EXPECT_EQ(fleet.health(0), HealthState::kDown);
  EXPECT_NE(fleet.view(0).reason.find("wedged"), std::string::npos);
  // The front page answers; that is how a wedged instance looks.
  fleet.pass_with_checks(20s, {0});
  EXPECT_EQ(fleet.health(0), HealthState::kDown);
  fleet.has_loaded(0, {});
  EXPECT_EQ(fleet.health(0), HealthState::kProbation);
}

TEST(Health, ServingDoesNotExcuseASilentResidency) {
  Script fleet(1);
  fleet.has(0, {"m"});
  for (int i = 0; i < 3; ++i) {
    fleet.sees(0, Kind::kResidencyMissed);
    if (i < 2) fleet.served(fleet.ask("m"));
  }
  EXPECT_EQ(fleet.health(0), HealthState::kDown);
}

TEST(Health, AWedgedInstanceThatWasRestartedComesBackByAnyAnswer) {
  Script fleet(1);
  fleet.has(0, {"m"});
  for (int i = 0; i < 3; ++i) fleet.sees(0, Kind::kResidencyMissed);
  fleet.pass(2s);
  fleet.refuses(0);
  fleet.pass(2s);
  fleet.answers(0);
  EXPECT_EQ(fleet.health(0), HealthState::kProbation);
}

TEST(Health, AnAnswerOpensProbationAndAServedRequestCloses) {
  Script fleet(1);
  fleet.has(0, {"m"});
  fleet.refuses(0);
  fleet.pass(2s);
  EXPECT_EQ(fleet.health(0), HealthState::kDown) << "only an answer opens";
  fleet.answers(0);
  EXPECT_EQ(fleet.health(0), HealthState::kProbation);
  fleet.served(fleet.ask("m"));
  EXPECT_EQ(fleet.health(0), HealthState::kUp);
  EXPECT_EQ(fleet.view(0).reason, "");
}

TEST(Health, AnAnswerDuringTheWaitCountsWhenTheWaitEnds) {
  Script fleet(1);
  fleet.has(0, {"m"});
  fleet.refuses(0);
  fleet.pass(400ms);
  fleet.answers(0);
  EXPECT_EQ(fleet.health(0), HealthState::kDown);
  fleet.pass(599ms);
  EXPECT_EQ(fleet.health(0), HealthState::kDown);
  fleet.pass(1ms);
  EXPECT_EQ(fleet.health(0), HealthState::kProbation);
}

TEST(Health, AnAnswerDuringTheWaitIsTakenBackByAMiss) {
  Script fleet(1);
  fleet.has(0, {"m"});
  fleet.refuses(0);
  fleet.answers(0);
  fleet.misses(0);
  fleet.pass(10s);
  EXPECT_EQ(fleet.health(0), HealthState::kDown);
}

TEST(Health, InProbationOneRequestAtATimeWhileOthersServe) {
  Script fleet(2);
  fleet.all_have({"m"});
  fleet.refuses(0);
  fleet.pass(2s);
  fleet.answers(0);
  int probation = 0;
  for (int i = 0; i < 10; ++i) probation += fleet.ask("m").at() == 0 ? 1 : 0;
  EXPECT_EQ(probation, 1);
}

TEST(Health, AProbationRequestWithoutAVerdictMakesRoomForTheNext) {
  for (const auto result :
       {AttemptResult::kClientGone, AttemptResult::kBusy, AttemptResult::kRevoked}) {
    Script fleet(1);
    fleet.has(0, {"m"});
    fleet.refuses(0);
    fleet.pass(2s);
    fleet.answers(0);
    for (int i = 0; i < 3; ++i) {
      const Asked asked = fleet.ask("m");
      ASSERT_TRUE(asked.granted);
      EXPECT_FALSE(asked.granted->why.last_resort);
      fleet.ends(asked, result);
      EXPECT_EQ(fleet.health(0), HealthState::kProbation);
    }
  }
}

TEST(Health, ProbationFailureDoublesTheWait) {
  Settings settings;
  settings.probation_jitter = 0;
  Script fleet(1, settings);
  fleet.has(0, {"m"});
  fleet.failed(fleet.ask("m"));
  fleet.failed(fleet.ask("m"));
  // The first wait is 1 s; each failed probation doubles it, up to 60 s.
  for (const auto wait : {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s}) {
    ASSERT_EQ(fleet.health(0), HealthState::kDown);
    fleet.answers(0);
    fleet.pass(wait - 1ms);
    ASSERT_EQ(fleet.health(0), HealthState::kDown) << wait.count();
    fleet.pass(1ms);
    ASSERT_EQ(fleet.health(0), HealthState::kProbation) << wait.count();
    fleet.failed(fleet.ask("m"));
  }
  // Served once: the wait starts anew.
  fleet.answers(0);
  fleet.pass(60s);
  fleet.served(fleet.ask("m"));
  fleet.failed(fleet.ask("m"));
  fleet.failed(fleet.ask("m"));
  fleet.answers(0);
  fleet.pass(1s);
  EXPECT_EQ(fleet.health(0), HealthState::kProbation);
}

TEST(Health, JitterAddsAtMostHalfOfTheWait) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Settings settings;
    settings.seed = seed;
    Script fleet(1, settings);
    fleet.has(0, {"m"});
    fleet.failed(fleet.ask("m"));
    fleet.failed(fleet.ask("m"));
    fleet.answers(0);
    fleet.pass(999ms);
    EXPECT_EQ(fleet.health(0), HealthState::kDown);
    fleet.pass(501ms);
    EXPECT_EQ(fleet.health(0), HealthState::kProbation);
  }
}

TEST(Health, AKilledInstanceIsOutByItsOwnResets) {
  Script fleet(2);
  fleet.all_have({"m"});
  std::vector<Asked> open;
  for (int i = 0; i < 20; ++i) open.push_back(fleet.ask("m"));
  int resets = 0;
  for (const Asked& each : open) {
    if (each.at() != 0) continue;
    fleet.ends(each, AttemptResult::kDied);
    if (++resets == 2) break;
  }
  EXPECT_EQ(fleet.health(0), HealthState::kDown);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(fleet.ask("m").at(), 1);
}

TEST(Health, DeadForAnHourItIsUsedWithinThreeSecondsOfAnswering) {
  Script fleet(2);
  fleet.all_have({"m"});
  fleet.refuses(0);
  for (int i = 0; i < 1800; ++i) {
    fleet.pass(2s);
    fleet.refuses(0);
    fleet.answers(1);
  }
  // It starts right after a check: the next one is 2 s away, plus the checks' jitter.
  fleet.pass(2200ms);
  fleet.answers(0);
  EXPECT_EQ(fleet.ask("m").at(), 0);
}

TEST(Health, ACrashLoopKeepsTheWaitItEarned) {
  Settings settings;
  settings.probation_jitter = 0;
  Script fleet(1, settings);
  fleet.has(0, {"m"});
  // Each time it answers, gets a request, dies with it, and refuses until it is started again.
  Duration wait = 1s;
  fleet.refuses(0);
  for (int crash = 0; crash < 5; ++crash) {
    fleet.pass(100ms);
    fleet.refuses(0);
    fleet.answers(0);
    fleet.pass(wait - 101ms);
    ASSERT_EQ(fleet.health(0), HealthState::kDown);
    fleet.pass(1ms);
    ASSERT_EQ(fleet.health(0), HealthState::kProbation);
    const Asked asked = fleet.ask("m");
    ASSERT_EQ(asked.at(), 0);
    fleet.ends(asked, AttemptResult::kDied);
    wait *= 2;
  }
}

TEST(Health, RefusedInProbationWaitsTheMinimumAgain) {
  Script fleet(1);
  fleet.has(0, {"m"});
  for (int i = 0; i < 5; ++i) {
    fleet.refuses(0);
    fleet.pass(1s);
    fleet.answers(0);
    ASSERT_EQ(fleet.health(0), HealthState::kProbation);
    fleet.ends(fleet.ask("m"), AttemptResult::kRefused);
    ASSERT_EQ(fleet.health(0), HealthState::kDown);
  }
}

TEST(Health, RequestsOfAnEarlierTermAreNotJudged) {
  Script fleet(1);
  fleet.has(0, {"m"});
  const Asked old_failing = fleet.ask("m");
  const Asked old_serving = fleet.ask("m");
  fleet.first_byte(old_failing);
  fleet.first_byte(old_serving);
  fleet.refuses(0);
  fleet.pass(1s);
  fleet.answers(0);
  ASSERT_EQ(fleet.health(0), HealthState::kProbation);
  fleet.failed(old_failing);
  EXPECT_EQ(fleet.health(0), HealthState::kProbation);
  fleet.served(old_serving);
  EXPECT_EQ(fleet.health(0), HealthState::kProbation);
  EXPECT_EQ(fleet.view(0).served, 1U);
  EXPECT_EQ(fleet.view(0).failed, 1U);
}

TEST(Health, DrainingIsShownWhateverTheChecksSayAndEndsInWhatTheySaid) {
  Script fleet(1);
  fleet.has(0, {"m"});
  fleet.drain(0, true);
  EXPECT_EQ(fleet.health(0), HealthState::kDraining);
  fleet.refuses(0);
  EXPECT_EQ(fleet.health(0), HealthState::kDraining);
  EXPECT_NE(fleet.view(0).reason.find("connection refused"), std::string::npos);
  fleet.drain(0, false);
  EXPECT_EQ(fleet.health(0), HealthState::kDown);
}

}  // namespace
}  // namespace drover::core
