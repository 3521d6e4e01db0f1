// The policy expected_completion as its users see it: where requests go, and who waits.

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <vector>

#include "core/hall.h"

namespace drover::core {
namespace {

using testing::Asked;
using testing::by_cost;
using testing::Hall;
using testing::named;
using testing::of_tenant;
using testing::Script;
using namespace std::chrono_literals;

TEST(ExpectedCompletion, AModelThatNobodyHasIsLoadedAndTheRequestWaitsForIt) {
  Hall hall(2);
  const Asked asked = hall.ask("a");
  EXPECT_TRUE(asked.waits());
  ASSERT_EQ(hall.loads().size(), 1U);
  EXPECT_EQ(hall.loads()[0].model, named("a"));
  EXPECT_EQ(hall.loads()[0].reason, LoadReason::kDemand);
  hall.pass(4s);
  hall.loaded(hall.loads()[0]);
  const Asked served = hall.outcome(asked);
  ASSERT_TRUE(served.granted);
  EXPECT_EQ(served.granted->backend, hall.loads()[0].backend);
  EXPECT_EQ(served.granted->why.waited_as, 1U);
}

TEST(ExpectedCompletion, ManyWhoWaitForOneModelCauseOneLoad) {
  Hall hall(2);
  for (int i = 0; i < 3; ++i) hall.ask("a");
  EXPECT_EQ(hall.loads().size(), 1U);
}

TEST(ExpectedCompletion, GoesWhereTheModelIsAndSaysWhatItWouldCost) {
  Hall hall(2);
  hall.shows(1, {"a"});
  const Asked asked = hall.ask("a");
  ASSERT_EQ(asked.at(), 1);
  EXPECT_GT(asked.granted->why.candidates[1].cost_s, 0);
  EXPECT_GT(asked.granted->why.candidates[0].cost_s, asked.granted->why.candidates[1].cost_s);
  EXPECT_NE(asked.granted->why.to_string(hall.fleet()).find(" s"), std::string::npos);
}

TEST(ExpectedCompletion, NoMoreRequestsThanSlotsAndTheNextInTurnWhenOneIsFree) {
  Hall hall(1);
  hall.shows(0, {"a"});
  std::vector<Asked> running;
  for (int i = 0; i < 4; ++i) running.push_back(hall.ask("a"));
  for (const Asked& each : running) EXPECT_EQ(each.at(), 0);
  const Asked first = hall.ask("a");
  const Asked second = hall.ask("a");
  EXPECT_TRUE(first.waits());
  EXPECT_TRUE(second.waits());
  hall.served(running[0]);
  EXPECT_EQ(hall.outcome(first).at(), 0);
  EXPECT_TRUE(hall.outcome(second).waits());
}

TEST(ExpectedCompletion, TheViewSaysWhoWaitsForWhatAndForHowLong) {
  Hall hall(1);
  hall.shows(0, {"a"});
  for (int i = 0; i < 4; ++i) hall.ask("a");
  EXPECT_TRUE(hall.fleet().lines.empty());
  hall.ask("a");
  const std::vector<LineView> one = hall.fleet().lines;
  ASSERT_EQ(one.size(), 1U);
  EXPECT_EQ(one[0].model, named("a"));
  EXPECT_EQ(one[0].waiting, 1U);
  EXPECT_GT(one[0].expected_wait, 0s);
  for (int i = 0; i < 9; ++i) hall.ask("a");
  const std::vector<LineView> ten = hall.fleet().lines;
  EXPECT_EQ(ten[0].waiting, 10U);
  EXPECT_GT(ten[0].expected_wait, 3 * one[0].expected_wait);
}

TEST(ExpectedCompletion, WhoLeavesTheLineLeavesNothing) {
  Hall hall(1);
  hall.shows(0, {"a"});
  std::vector<Asked> running;
  for (int i = 0; i < 4; ++i) running.push_back(hall.ask("a"));
  const Asked first = hall.ask("a");
  const Asked second = hall.ask("a");
  hall.gone(first);
  hall.served(running[0]);
  EXPECT_TRUE(hall.outcome(first).waits());
  EXPECT_EQ(hall.outcome(second).at(), 0);
}

TEST(ExpectedCompletion, AFullQueueRefusesWithATimeToComeBack) {
  Settings settings = by_cost();
  settings.max_queued = 1;
  Hall hall(1, settings);
  hall.shows(0, {"a"});
  for (int i = 0; i < 5; ++i) hall.ask("a");
  const Asked refused = hall.ask("a");
  ASSERT_TRUE(refused.refused);
  EXPECT_EQ(refused.kind(), ErrorKind::kUnavailable);
  EXPECT_GE(*refused.refused->retry_after, 1s);
  EXPECT_NE(refused.message().find("too many requests wait"), std::string::npos);
}

TEST(ExpectedCompletion, NobodyWaitsLongerThanTheBound) {
  Settings settings = by_cost();
  settings.queue_wait = 30s;
  Hall hall(1, settings);
  hall.shows(0, {"a"});
  for (int i = 0; i < 4; ++i) hall.ask("a");
  const Asked asked = hall.ask("a");
  hall.pass(31s);
  const Asked refused = hall.outcome(asked);
  ASSERT_TRUE(refused.refused);
  EXPECT_NE(refused.message().find("no slot was free within 30 s"), std::string::npos);
}

TEST(ExpectedCompletion, WhoHasMoreThanAPartLeavesTheLastSlotOfAGpuWhicheverModelTheyAskFor) {
  Hall hall(1);
  hall.shows(0, {"a", "b"});
  EXPECT_EQ(hall.ask(of_tenant(1001, 2, "b")).at(), 0);
  std::vector<Asked> much;
  for (std::uint64_t i = 0; i < 3; ++i) much.push_back(hall.ask(of_tenant(1002 + i, 1, "a")));
  const Asked more = hall.ask(of_tenant(1011, 1, "b"));
  EXPECT_TRUE(more.waits());
  EXPECT_EQ(hall.ask(of_tenant(1012, 3, "b")).at(), 0);
  hall.served(much[0]);
  EXPECT_EQ(hall.outcome(more).at(), 0)
      << "nobody has too much now, and the slot is of another model";
}

Beginnings conversation(std::initializer_list<std::uint64_t> messages) {
  Beginnings all;
  std::uint64_t bytes = 0;
  for (const std::uint64_t message : messages) all.add({message, bytes += 4000});
  return all;
}

RequestArrived turn(std::uint64_t id, std::initializer_list<std::uint64_t> messages) {
  RequestArrived arrived{RequestId{id}, testing::ask_for("a")};
  arrived.ask.beginnings = conversation(messages);
  arrived.ask.body_bytes = arrived.ask.beginnings.all().back().bytes;
  return arrived;
}

TEST(ExpectedCompletion, AConversationGoesOnWhereItWasHeld) {
  Hall hall(2);
  hall.shows(0, {"a"});
  hall.shows(1, {"a"});
  const Asked first = hall.ask(turn(1001, {1}));
  const Asked other = hall.ask(turn(1002, {2}));
  ASSERT_NE(first.at(), other.at());
  for (const Asked& each : {first, other}) {
    hall.first_byte(each);
    hall.served(each);
  }
  EXPECT_EQ(hall.ask(turn(1003, {1, 11, 12})).at(), first.at());
  EXPECT_EQ(hall.ask(turn(1004, {2, 21, 22})).at(), other.at());
}

TEST(ExpectedCompletion, WhoFailedWhereTheModelIsHasItLoadedElsewhere) {
  Hall hall(2);
  hall.shows(0, {"a"});
  const Asked first = hall.ask("a");
  ASSERT_EQ(first.at(), 0);
  hall.failed(first);
  const Asked again = hall.retry(first, "a", RetryCause::kInstanceFailed, 1, {BackendId{0}});
  ASSERT_TRUE(again.waits());
  hall.pass(1s);
  ASSERT_EQ(hall.loads().size(), 1U);
  EXPECT_EQ(hall.loads()[0].backend, BackendId{1});
  hall.loaded(hall.loads()[0]);
  EXPECT_EQ(hall.outcome(again).at(), 1);
}

TEST(ExpectedCompletion, AForeignInstanceHasTheSlotsThatAreTold) {
  std::vector<BackendSpec> specs = testing::specs(1);
  specs[0].slots = 6;
  specs[0].slots_are_told = true;
  Script script(specs, by_cost());
  script.has(0, {"a"});
  script.has_loaded(0, {"a"});
  std::vector<Asked> asked;
  for (int i = 0; i < 7; ++i) asked.push_back(script.ask("a"));
  EXPECT_TRUE(asked[5].granted);
  EXPECT_TRUE(asked[6].waits());
  // No wait in the instance ever: of one that tells nothing more would be tried.
  for (int i = 0; i < 300; ++i) {
    script.pass(1s);
    script.served(asked.front(), {100, 100, 2s, {}, 1s, 1s});
    asked.erase(asked.begin());
    asked.back() = script.outcome(asked.back());
    asked.push_back(script.ask("a"));
    ASSERT_EQ(std::ranges::count_if(asked, &Asked::waits), 1) << i;
  }
}

TEST(ExpectedCompletion, AFreeSlotTakesWhoSuitsItAndNobodyIsPassedOverForEver) {
  Hall hall(2);
  hall.shows(0, {"a"});
  hall.shows(1, {"a"});
  const Asked here = hall.ask(turn(1001, {1}));
  const Asked there = hall.ask(turn(1002, {2}));
  for (const Asked& each : {here, there}) {
    hall.first_byte(each);
    hall.served(each);
  }
  std::deque<Asked> running;
  for (int i = 0; i < 8; ++i) {
    const Asked each = hall.ask("a");
    if (each.at() == here.at()) running.push_back(each);
  }
  const Asked away = hall.ask(turn(1003, {2, 21, 22}));
  int let_by = 0;
  for (std::uint64_t i = 0; i < 20; ++i) {
    const Asked home = hall.ask(turn(2000 + i, {1, 11, 12}));
    hall.served(running.front());
    running.pop_front();
    if (!hall.outcome(away).waits()) break;
    ++let_by;
    running.push_back(hall.outcome(home));
    ASSERT_EQ(running.back().at(), here.at());
  }
  EXPECT_EQ(hall.outcome(away).at(), here.at());
  EXPECT_EQ(let_by, 8);
}

// Sixty-four instances, of which the first has everything loaded and is drained: everybody waits.
struct LargeFleet : Script {
  explicit LargeFleet(std::initializer_list<std::string_view> models) : Script(64, by_cost()) {
    all_have(models);
    has_loaded(0, models);
    for (std::uint32_t i = 1; i < 64; ++i) has_loaded(i, {});
    drain(0, true);
  }
  std::ptrdiff_t begun(const std::vector<Asked>& asked) {
    return std::ranges::count_if(asked, [&](const Asked& each) { return !outcome(each).waits(); });
  }
};

TEST(ExpectedCompletion, InALargeFleetAFewOfManyLinesAreServedAtATime) {
  LargeFleet fleet({"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"});
  std::vector<Asked> asked;
  for (const char* model : {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}) {
    asked.push_back(fleet.ask(model));
    ASSERT_TRUE(asked.back().waits());
  }
  fleet.drain(0, false);
  EXPECT_EQ(fleet.begun(asked), 1);
  fleet.pass(10ms);
  EXPECT_EQ(fleet.begun(asked), 10);
}

TEST(ExpectedCompletion, InALargeFleetWhatChangedIsServedFirstAndTheOthersInTheNextEvent) {
  LargeFleet fleet({"a", "b", "c"});
  std::vector<Asked> b;
  for (int i = 0; i < 6; ++i) b.push_back(fleet.ask("b"));
  const std::vector<Asked> others = {fleet.ask("a"), fleet.ask("c")};
  fleet.drain(0, false);
  ASSERT_EQ(fleet.begun(b), 4) << "it has four slots, and its turn";
  ASSERT_EQ(fleet.begun(others), 0);
  fleet.served(fleet.outcome(b[0]));
  EXPECT_EQ(fleet.begun(b), 5);
  EXPECT_EQ(fleet.begun(others), 0);
  fleet.pass(10ms);
  EXPECT_EQ(fleet.begun(others), 2);
}

// However often something changes before the next tick.
TEST(ExpectedCompletion, InALargeFleetTheOthersArePutOffOnce) {
  LargeFleet fleet({"a", "b", "c"});
  std::vector<Asked> b;
  for (int i = 0; i < 20; ++i) b.push_back(fleet.ask("b"));
  const std::vector<Asked> others = {fleet.ask("a"), fleet.ask("c")};
  fleet.drain(0, false);
  std::size_t settled = 0;
  for (; settled < 16 && fleet.begun(others) < 2; ++settled) {
    fleet.served(fleet.outcome(b[settled]));
  }
  EXPECT_LE(settled, 4U);
}

TEST(ExpectedCompletion, ALoadThatFailsLetsTheRequestMeetTheErrorItself) {
  Hall hall(1);
  const Asked asked = hall.ask("a");
  ASSERT_EQ(hall.loads().size(), 1U);
  hall.loaded(hall.loads()[0], false);
  EXPECT_EQ(hall.outcome(asked).at(), 0);
  EXPECT_EQ(hall.loads().size(), 1U) << "not again at once";
}

TEST(ExpectedCompletion, AnInstanceThatSaysNothingOfItsModelsFindsItsWayByItself) {
  Script fleet(2, by_cost());
  fleet.all_have({"a"});
  const Asked one = fleet.ask("a");
  const Asked two = fleet.ask("a");
  EXPECT_NE(one.at(), -1);
  EXPECT_NE(two.at(), -1);
  EXPECT_NE(one.at(), two.at());
}

TEST(ExpectedCompletion, ACrashMovesThoseWhoWait) {
  Hall hall(2);
  const Asked asked = hall.ask("a");
  ASSERT_EQ(hall.loads().size(), 1U);
  const std::uint32_t first = hall.loads()[0].backend.value;
  hall.refuses(first);
  hall.pass(1s);
  ASSERT_EQ(hall.loads().size(), 2U);
  EXPECT_EQ(hall.loads()[1].backend.value, 1 - first);
  hall.loaded(hall.loads()[1]);
  EXPECT_EQ(hall.outcome(asked).at(), static_cast<int>(1 - first));
}

TEST(ExpectedCompletion, TwoNamesOfTheSameWeightsAreOneModel) {
  Hall hall(1);
  auto all = std::make_shared<Catalogue>(*testing::catalogue({"a", "alias"}));
  (*all)[1].digest = (*all)[0].digest;
  hall.send(Observed{BackendId{0}, testing::Kind::kCatalogue, all, nullptr, {}, {}});
  hall.shows(0, {"a"});
  EXPECT_EQ(hall.ask("alias").at(), 0);
  EXPECT_TRUE(hall.loads().empty());
}

TEST(ExpectedCompletion, WhoWouldWaitTooLongIsRefusedAtOnceAndToldWhenToComeBack) {
  Settings settings = by_cost();
  settings.queue_wait = 20s;
  Hall hall(1, settings);
  hall.shows(0, {"a"});
  std::vector<Asked> all;
  for (int i = 0; i < 100; ++i) all.push_back(hall.ask("a"));
  EXPECT_TRUE(all[5].waits());
  const Asked& last = all.back();
  ASSERT_TRUE(last.refused);
  EXPECT_EQ(last.kind(), ErrorKind::kUnavailable);
  EXPECT_NE(last.message().find("the longest wait is 20 s (queue.wait)"), std::string::npos)
      << last.message();
  ASSERT_TRUE(last.refused->retry_after);
  EXPECT_GE(*last.refused->retry_after, 1s);
  EXPECT_LE(*last.refused->retry_after, 60s);
  // Who was let in is served or heard of within what it was let in for.
  const auto waiting = std::ranges::count_if(all, [](const Asked& each) { return each.waits(); });
  EXPECT_GT(waiting, 5);
  hall.pass(21s);
  for (const Asked& each : all) EXPECT_FALSE(hall.outcome(each).waits());
}

}  // namespace
}  // namespace drover::core
