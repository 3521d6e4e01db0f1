// Requests from arrival to answer: what is granted, what waits, what is refused and in which words.

#include "core/scheduler.h"

#include <gtest/gtest.h>

#include "core/testing.h"

namespace drover::core {
namespace {

using testing::Asked;
using testing::Script;
using namespace std::chrono_literals;

// --- models that nobody is known to have ---

TEST(Miss, IsAnswered404OnlyAfterEveryCatalogueWasReadAnew) {
  Script fleet(2);
  fleet.all_have({"m"});
  const Asked asked = fleet.ask("Unknown-Model");
  EXPECT_TRUE(asked.waits());
  EXPECT_EQ(fleet.refreshes(), 1);
  fleet.all_have({"m"});
  EXPECT_TRUE(fleet.outcome(asked).waits());
  fleet.refresh_done();
  const Asked done = fleet.outcome(asked);
  ASSERT_TRUE(done.refused);
  EXPECT_EQ(done.kind(), ErrorKind::kNoSuchModel);
  EXPECT_EQ(done.message(), "model 'Unknown-Model' not found");
  EXPECT_FALSE(done.refused->retry_after);
}

TEST(Miss, IsServedAsSoonAsTheModelTurnsUp) {
  Script fleet(2);
  fleet.all_have({"m"});
  const Asked asked = fleet.ask("new");
  fleet.has(1, {"m", "new"});
  EXPECT_EQ(fleet.outcome(asked).at(), 1);
}

TEST(Miss, OneRefreshServesAllThatCameBeforeItStarted) {
  Script fleet(1);
  fleet.has(0, {"m"});
  const Asked first = fleet.ask("a");
  const Asked second = fleet.ask("b");
  const Asked third = fleet.ask("c");
  EXPECT_EQ(fleet.refreshes(), 1);
  fleet.has(0, {"m"});
  fleet.refresh_done();
  // The second and the third came while the first refresh ran: it may have asked too early.
  EXPECT_TRUE(fleet.outcome(first).refused);
  EXPECT_TRUE(fleet.outcome(second).waits());
  EXPECT_EQ(fleet.refreshes(), 2);
  fleet.has(0, {"m"});
  fleet.refresh_done();
  EXPECT_TRUE(fleet.outcome(second).refused);
  EXPECT_TRUE(fleet.outcome(third).refused);
  EXPECT_EQ(fleet.refreshes(), 2);
}

TEST(Miss, IsUnavailableWhileAnInstanceWasNeverHeard) {
  Script fleet(2);
  fleet.has(0, {"m"});
  const Asked asked = fleet.ask("x");
  fleet.has(0, {"m"});
  fleet.refuses(1);
  fleet.refresh_done();
  const Asked done = fleet.outcome(asked);
  ASSERT_TRUE(done.refused);
  EXPECT_EQ(done.kind(), ErrorKind::kUnavailable);
  EXPECT_EQ(done.message(),
            "model 'x' is not on any instance that could be asked, and gpu1 is down (connection "
            "refused); try again in 2 s");
  EXPECT_EQ(done.refused->retry_after, Duration(2s));
}

TEST(Miss, IsUnavailableWhileAnInstanceIsDownThoughItsOldCatalogueLacksTheModel) {
  Script fleet(2);
  fleet.all_have({"m"});
  fleet.refuses(1);
  const Asked asked = fleet.ask("x");
  fleet.has(0, {"m"});
  fleet.refuses(1);
  fleet.refresh_done();
  EXPECT_EQ(fleet.outcome(asked).kind(), ErrorKind::kUnavailable);
}

TEST(Miss, IsDecidedWithWhatIsKnownWhenTheRefreshTakesTooLong) {
  Script fleet(2);
  fleet.all_have({"m"});
  const Asked asked = fleet.ask("x");
  fleet.has(0, {"m"});
  fleet.pass(1999ms);
  EXPECT_TRUE(fleet.outcome(asked).waits());
  fleet.pass(1ms);
  const Asked done = fleet.outcome(asked);
  ASSERT_TRUE(done.refused);
  EXPECT_EQ(done.kind(), ErrorKind::kUnavailable);
  EXPECT_NE(done.message().find("gpu1 could not be asked"), std::string::npos) << done.message();
}

TEST(Miss, LeavesNothingBehindWhenTheClientGoes) {
  Script fleet(1);
  fleet.has(0, {"m"});
  const Asked asked = fleet.ask("x");
  fleet.gone(asked);
  fleet.has(0, {"m", "x"});
  fleet.refresh_done();
  fleet.pass(10s);
  EXPECT_TRUE(fleet.outcome(asked).waits());
  EXPECT_EQ(fleet.view(0).in_flight, 0U);
}

TEST(Miss, WaitingIsBounded) {
  Settings settings;
  settings.max_waiting = 2;
  Script fleet(1, settings);
  fleet.has(0, {"m"});
  EXPECT_TRUE(fleet.ask("x").waits());
  EXPECT_TRUE(fleet.ask("x").waits());
  const Asked third = fleet.ask("x");
  ASSERT_TRUE(third.refused);
  EXPECT_EQ(third.kind(), ErrorKind::kUnavailable);
}

TEST(Miss, AtStartWaitsForTheFirstAnswer) {
  Script fleet(2);
  const Asked asked = fleet.ask("m");
  EXPECT_TRUE(asked.waits());
  fleet.pass(300ms);
  fleet.has(1, {"m"});
  EXPECT_EQ(fleet.outcome(asked).at(), 1);
}

TEST(Miss, WithoutAnyInstanceIsUnavailable) {
  Script fleet(0);
  const Asked asked = fleet.ask("m");
  fleet.refresh_done();
  ASSERT_TRUE(fleet.outcome(asked).refused);
  EXPECT_EQ(fleet.outcome(asked).kind(), ErrorKind::kUnavailable);
}

TEST(NoModel, DropsTheEntryUntilTheCatalogueIsReadAnew) {
  Script fleet(2);
  fleet.all_have({"m"});
  const Asked asked = fleet.ask("m");
  ASSERT_EQ(asked.at(), 0);
  fleet.ends(asked, AttemptResult::kNoModel);
  EXPECT_EQ(fleet.refreshes(), 1);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(fleet.ask("m").at(), 1);
  fleet.has(0, {"m"});
  EXPECT_EQ(fleet.ask("m").at(), 0);
}

TEST(NoModel, OfTheOnlyHolderBecomes404AfterTheRefresh) {
  for (const bool still_listed : {false, true}) {
    Script fleet(1);
    fleet.has(0, {"m"});
    const Asked asked = fleet.ask("m");
    fleet.ends(asked, AttemptResult::kNoModel);
    const Asked again = fleet.retry(asked, "m", RetryCause::kNoModel, 1, {BackendId{0}});
    EXPECT_TRUE(again.waits());
    for (int i = 0; i < 2; ++i) {
      if (still_listed) fleet.has(0, {"m"});
      if (!still_listed) fleet.has(0, {});
      fleet.refresh_done();
    }
    const Asked done = fleet.outcome(again);
    ASSERT_TRUE(done.refused);
    EXPECT_EQ(done.kind(), ErrorKind::kNoSuchModel);
  }
}

TEST(NoModel, IsUnavailableWhileAnotherInstanceWasNotHeard) {
  Script fleet(2);
  fleet.has(0, {"m"});
  const Asked asked = fleet.ask("m");
  ASSERT_EQ(asked.at(), 0);
  // The catalogue that lies arrives once more before the retry: nothing is decided by it.
  fleet.ends(asked, AttemptResult::kNoModel);
  fleet.has(0, {"m"});
  const Asked again = fleet.retry(asked, "m", RetryCause::kNoModel, 1, {BackendId{0}});
  EXPECT_TRUE(again.waits());
  fleet.has(0, {"m"});
  EXPECT_TRUE(fleet.outcome(again).waits());
  fleet.refuses(1);
  fleet.refresh_done();
  fleet.has(0, {"m"});
  fleet.refuses(1);
  fleet.refresh_done();
  const Asked done = fleet.outcome(again);
  ASSERT_TRUE(done.refused);
  EXPECT_EQ(done.kind(), ErrorKind::kUnavailable) << done.message();
}

TEST(NoModel, IsServedByTheOneThatIsHeardLater) {
  Script fleet(2);
  fleet.has(0, {"m"});
  const Asked asked = fleet.ask("m");
  fleet.ends(asked, AttemptResult::kNoModel);
  const Asked again = fleet.retry(asked, "m", RetryCause::kNoModel, 1, {BackendId{0}});
  fleet.has(0, {"m"});
  fleet.has(1, {"m"});
  EXPECT_EQ(fleet.outcome(again).at(), 1);
}

// --- models whose holders cannot take the request ---

TEST(Away, NamesTheHoldersAndWhenToComeBack) {
  Script fleet(3);
  fleet.has(0, {"m"});
  fleet.has(1, {"m"});
  fleet.has(2, {"other"});
  fleet.refuses(0);
  fleet.drain(1, true);
  const Asked asked = fleet.ask("m");
  ASSERT_TRUE(asked.refused);
  EXPECT_EQ(asked.kind(), ErrorKind::kUnavailable);
  EXPECT_EQ(asked.message(),
            "no instance can take model 'm': gpu0 is down (connection refused), gpu1 is drained by "
            "an operator; try again in 1 s");
}

TEST(Away, RetryAfterIsTheEndOfTheProbationWaitRoundedUp) {
  Settings settings;
  settings.probation_wait_min = 10s;
  Script fleet(1, settings);
  fleet.has(0, {"m"});
  fleet.refuses(0);
  fleet.pass(2500ms);
  fleet.answers(0);
  EXPECT_EQ(fleet.ask("m").refused->retry_after, Duration(8s));
}

TEST(Full, EveryHolderAtItsLimitIsAQueueFull) {
  Script fleet(2, {}, 3);
  fleet.all_have({"m"});
  std::vector<Asked> open;
  for (int i = 0; i < 6; ++i) open.push_back(fleet.ask("m"));
  const Asked seventh = fleet.ask("m");
  ASSERT_TRUE(seventh.refused);
  EXPECT_EQ(seventh.kind(), ErrorKind::kUnavailable);
  EXPECT_NE(seventh.message().find("queue full"), std::string::npos);
  EXPECT_EQ(seventh.refused->retry_after, Duration(1s));
  fleet.served(open.front());
  EXPECT_TRUE(fleet.ask("m").granted);
}

// --- retries ---

TEST(Retry, GoesToAnInstanceNotTried) {
  Script fleet(3);
  fleet.all_have({"m"});
  const Asked asked = fleet.ask("m");
  fleet.failed(asked);
  const Asked second = fleet.retry(asked, "m", RetryCause::kInstanceFailed, 1, {BackendId{0}});
  ASSERT_TRUE(second.granted);
  fleet.failed(second);
  const Asked third = fleet.retry(asked, "m", RetryCause::kInstanceFailed, 2,
                                  {BackendId{0}, second.granted->backend});
  ASSERT_TRUE(third.granted);
  EXPECT_NE(third.at(), 0);
  EXPECT_NE(third.at(), second.at());
}

TEST(Retry, WithEveryHolderTriedIsAnUpstreamFailure) {
  Script fleet(1);
  fleet.has(0, {"m"});
  const Asked asked = fleet.ask("m");
  fleet.failed(asked);
  const Asked again = fleet.retry(asked, "m", RetryCause::kInstanceFailed, 1, {BackendId{0}});
  ASSERT_TRUE(again.refused);
  EXPECT_EQ(again.kind(), ErrorKind::kUpstream);
  EXPECT_EQ(again.message(), "no other instance can serve it");
}

TEST(Retry, WithSomebodyNotHeardYetIsUnavailableUntilThatOneIsDown) {
  Script fleet(2);
  fleet.has(0, {"m"});
  const auto ask_twice = [&] {
    const Asked asked = fleet.ask("m");
    fleet.failed(asked);
    const Asked again = fleet.retry(asked, "m", RetryCause::kInstanceFailed, 1, {BackendId{0}});
    fleet.served(fleet.ask("m"));
    return again;
  };
  const Asked early = ask_twice();
  ASSERT_TRUE(early.refused);
  EXPECT_EQ(early.kind(), ErrorKind::kUnavailable);
  EXPECT_EQ(early.message(),
            "every instance known to have model 'm' failed, and gpu1 has not answered yet; try "
            "again in 2 s");
  fleet.refuses(1);
  EXPECT_EQ(ask_twice().kind(), ErrorKind::kUpstream);
}

TEST(Retry, OfABusyAnswerWithAllOthersBusyIsUnavailable) {
  Script fleet(1);
  fleet.has(0, {"m"});
  const Asked asked = fleet.ask("m");
  fleet.ends(asked, AttemptResult::kBusy);
  const Asked again = fleet.retry(asked, "m", RetryCause::kBusy, 1, {BackendId{0}});
  ASSERT_TRUE(again.refused);
  EXPECT_EQ(again.kind(), ErrorKind::kUnavailable);
  EXPECT_TRUE(again.refused->retry_after);
}

TEST(Retry, MoreThanTheMostIsRefused) {
  Script fleet(4);
  fleet.all_have({"m"});
  const Asked asked = fleet.ask("m");
  fleet.failed(asked);
  const Asked again = fleet.retry(asked, "m", RetryCause::kInstanceFailed, 3, {});
  ASSERT_TRUE(again.refused);
  EXPECT_EQ(again.kind(), ErrorKind::kUpstream);
}

TEST(Retry, BudgetIsAShareOfFirstTriesAndAtLeastThree) {
  Script fleet(2);
  fleet.all_have({"m"});
  const auto retry = [&](std::uint64_t id) {
    return fleet.ask({RequestId{1000 + id},
                      testing::ask_for("m"),
                      RetryCause::kInstanceFailed,
                      1,
                      {BackendId{0}}});
  };
  for (std::uint64_t i = 0; i < 3; ++i) EXPECT_TRUE(retry(i).granted);
  EXPECT_EQ(retry(3).kind(), ErrorKind::kUpstream);
  std::vector<Asked> first_tries;
  for (int i = 0; i < 25; ++i) first_tries.push_back(fleet.ask("m"));
  EXPECT_TRUE(retry(4).granted);
  EXPECT_TRUE(retry(5).granted);
  EXPECT_TRUE(retry(6).refused);
}

TEST(Retry, WhatEndsMakesRoomInTheBudget) {
  Script fleet(2);
  fleet.all_have({"m"});
  std::uint64_t id = 1000;
  const auto retry = [&](std::string_view model) {
    return fleet.ask(
        {RequestId{++id}, testing::ask_for(model), RetryCause::kInstanceFailed, 1, {BackendId{0}}});
  };
  const Asked granted = retry("m");
  const Asked waiting = retry("unknown");
  ASSERT_TRUE(granted.granted);
  ASSERT_TRUE(waiting.waits());
  ASSERT_TRUE(retry("m").granted);
  ASSERT_TRUE(retry("m").refused) << "three are under way";
  fleet.served(granted);
  EXPECT_TRUE(retry("m").granted) << "one was settled";
  EXPECT_TRUE(retry("m").refused);
  fleet.gone(waiting);
  fleet.drain(1, true);
  for (int i = 0; i < 3; ++i) {
    EXPECT_NE(retry("m").message().find("no instance can take"), std::string::npos)
        << "refused for another reason, so it takes no room";
  }
}

TEST(Retry, TheFirstOneLostWithADyingInstanceIsExempt) {
  Script fleet(2);
  fleet.all_have({"m"});
  const auto lost = [&](std::uint64_t id, std::uint32_t attempt) {
    return fleet.ask({RequestId{1000 + id},
                      testing::ask_for("m"),
                      RetryCause::kInstanceDied,
                      attempt,
                      {BackendId{0}}});
  };
  for (std::uint64_t i = 0; i < 50; ++i) EXPECT_TRUE(lost(i, 1).granted);
  // Those fifty are clients under way, of which a fifth may be tried once more.
  for (std::uint64_t i = 50; i < 60; ++i) EXPECT_TRUE(lost(i, 2).granted);
  EXPECT_TRUE(lost(60, 2).refused);
}

TEST(Retry, ASecondDeathFindsTheBudgetOfAllClientsUnderWay) {
  Script fleet(3);
  fleet.all_have({"m"});
  fleet.drain(2, true);
  std::vector<Asked> on[3];
  for (int i = 0; i < 200; ++i) {
    const Asked asked = fleet.ask("m");
    on[asked.at()].push_back(asked);
  }
  const auto lose_all = [&](std::uint32_t victim, std::uint32_t attempt, std::size_t of) {
    std::vector<Asked> lost = std::exchange(on[victim], {});
    for (std::size_t i = 0; i < lost.size(); ++i) {
      if (i == of) fleet.drain(2, false);
      fleet.ends(lost[i], AttemptResult::kRevoked);
      const bool again = i >= 100;
      const Asked next = fleet.retry(lost[i], "m", RetryCause::kInstanceDied,
                                     attempt + (again ? 1 : 0), {BackendId{victim}});
      ASSERT_TRUE(next.granted) << i << " of " << victim << ": " << next.message();
      on[next.at()].push_back(next);
    }
  };
  fleet.refuses(0);
  lose_all(0, 1, 30);  // thirty go to the other old instance, the rest to the new one
  ASSERT_EQ(on[1].size(), 130U);
  fleet.refuses(1);
  lose_all(1, 1, 1000);  // a hundred first tries, and the thirty for the second time
  EXPECT_EQ(on[2].size(), 200U);
}

// --- leases of an instance that goes down ---

TEST(Revoke, TakesBackWhatAnUnreachableInstanceOwesAFirstByte) {
  Script fleet(2);
  fleet.all_have({"m"});
  fleet.drain(1, true);
  const Asked streaming = fleet.ask("m");
  const Asked waiting = fleet.ask("m");
  fleet.first_byte(streaming);
  EXPECT_EQ(fleet.view(0).awaiting_first, 1U);
  fleet.refuses(0);
  EXPECT_EQ(fleet.revoked(), std::vector<LeaseId>{waiting.granted->lease});
  fleet.ends(waiting, AttemptResult::kRevoked);
  fleet.served(streaming);
  EXPECT_EQ(fleet.view(0).in_flight, 0U);
  EXPECT_EQ(fleet.view(0).awaiting_first, 0U);
}

TEST(Revoke, FailedRequestsTakeBackLeasesOnlyWhenSomebodyElseServes) {
  for (const bool another : {true, false}) {
    Script fleet(2);
    fleet.has(0, {"m"});
    fleet.has(1, {});
    const Asked patient = fleet.ask("m");
    if (another) fleet.has(1, {"m"});
    if (another) fleet.drain(1, true);
    const Asked bad = fleet.ask("m");
    const Asked worse = fleet.ask("m");
    if (another) fleet.drain(1, false);
    fleet.failed(bad);
    fleet.failed(worse);
    ASSERT_EQ(fleet.health(0), HealthState::kDown);
    EXPECT_EQ(fleet.revoked().size(), another ? 1U : 0U);
    fleet.ends(patient, another ? AttemptResult::kRevoked : AttemptResult::kServed);
  }
}

TEST(Revoke, LeavesARetryWithAnInstanceThatStillAnswers) {
  Script fleet(2);
  fleet.all_have({"m"});
  fleet.drain(1, true);
  const Asked retried = fleet.ask(
      {RequestId{1000}, testing::ask_for("m"), RetryCause::kInstanceDied, 1, {BackendId{1}}});
  const Asked first = fleet.ask("m");
  const Asked bad = fleet.ask("m");
  const Asked worse = fleet.ask("m");
  fleet.drain(1, false);
  fleet.failed(bad);
  fleet.failed(worse);
  ASSERT_EQ(fleet.health(0), HealthState::kDown);
  EXPECT_EQ(fleet.revoked(), std::vector<LeaseId>{first.granted->lease});
  fleet.served(retried);
}

// --- the rest ---

TEST(Scheduler, KeepsCataloguesSortedThoughTheyComeInAnyOrder) {
  Script fleet(1);
  fleet.has(0, {"z", "a", "m"});
  EXPECT_TRUE(fleet.ask("a").granted);
  EXPECT_TRUE(fleet.ask("z").granted);
  EXPECT_EQ(fleet.view(0).catalogue->front().shown_name, "a");
}

TEST(Scheduler, ViewCarriesWhatWasHeard) {
  Script fleet(1);
  fleet.has(0, {"m"});
  fleet.has_loaded(0, {"m"});
  fleet.send(Observed{BackendId{0}, Observed::Kind::kVersion, nullptr, nullptr, "0.30.1", {}});
  const BackendView view = fleet.view(0);
  EXPECT_EQ(view.name, "gpu0");
  EXPECT_EQ(view.version, "0.30.1");
  EXPECT_EQ(view.catalogue->size(), 1U);
  EXPECT_EQ(view.residency->size(), 1U);
  EXPECT_EQ(fleet.fleet().policy, "least_loaded");
}

TEST(Scheduler, ViewCarriesDevicesAndProcesses) {
  Script fleet(2);
  EXPECT_EQ(fleet.fleet().gpus, nullptr);
  GpuReport report;
  report.gpus.push_back({.uuid = "GPU-0"});
  fleet.send(GpusObserved{std::make_shared<const GpuReport>(report)});
  fleet.send(ProcessObserved{BackendId{1}, {.state = ProcessState::kRunning, .pid = 7}});
  EXPECT_EQ(fleet.fleet().gpus->gpus.front().uuid, "GPU-0");
  EXPECT_FALSE(fleet.view(0).process);
  EXPECT_EQ(fleet.view(1).process->pid, 7);
}

}  // namespace
}  // namespace drover::core
