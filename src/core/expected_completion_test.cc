// The policy expected_completion as its users see it: where requests go, who waits, what is loaded.

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <vector>

#include "core/testing.h"

namespace drover::core {
namespace {

using testing::Asked;
using testing::Script;
using namespace std::chrono_literals;

Settings by_cost() {
  Settings settings;
  settings.policy = PolicyName::kExpectedCompletion;
  return settings;
}

std::vector<BackendSpec> gpus(std::uint32_t count) {
  std::vector<BackendSpec> specs = testing::specs(count);
  for (BackendSpec& spec : specs) {
    spec.placement = Placement::kPinned;
    spec.gpus = {"GPU-" + std::to_string(spec.id.value)};
  }
  return specs;
}

ModelName named(std::string_view text) { return ModelName::canonical(text); }

// Instances with 24 GB each, models of 10 GB on disk, nothing loaded.
struct Hall : Script {
  explicit Hall(std::uint32_t count, Settings settings = by_cost())
      : Script(gpus(count), std::move(settings)), count_(count) {
    auto report = std::make_shared<GpuReport>();
    for (std::uint32_t i = 0; i < count; ++i) {
      Gpu gpu;
      gpu.uuid = "GPU-" + std::to_string(i);
      gpu.memory_total_bytes = 24'000'000'000;
      report->gpus.push_back(gpu);
    }
    send(GpusObserved{report});
    for (std::uint32_t i = 0; i < count; ++i) {
      auto all = std::make_shared<Catalogue>(*testing::catalogue({"a", "b", "c"}));
      for (InstalledModel& model : *all) model.bytes = 8'000'000'000;
      send(Observed{BackendId{i}, testing::Kind::kCatalogue, all, nullptr, {}, {}});
      shows(i, {});
    }
    forget();
  }
  void shows(std::uint32_t backend, std::initializer_list<std::string_view> models) {
    auto all = std::make_shared<Residency>(*testing::residency(models));
    for (LoadedModel& model : *all) {
      model.digest = "sha256:" + model.name.text().substr(0, 1);
      model.bytes = model.vram_bytes = 10'000'000'000;
    }
    send(Observed{BackendId{backend}, testing::Kind::kResidency, nullptr, all, {}, {}});
  }
  void loaded(const Load& load, bool done = true) {
    send(LoadDone{load.backend, load.model, done, done ? "" : "status 500"});
  }
  // Time passes, and polls show the same.
  std::uint32_t count_;
};

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

// Instances whose memory nobody reads: Ollama may wait for somebody's end before it loads.
struct Unmeasured : Script {
  explicit Unmeasured(std::uint32_t count) : Script(count, by_cost()) {
    for (std::uint32_t i = 0; i < count; ++i) {
      lists(i, {"a"});
      shows(i, {});
    }
    forget();
  }
  void lists(std::uint32_t backend, std::initializer_list<std::string_view> models) {
    auto all = std::make_shared<Catalogue>(*testing::catalogue(models));
    for (InstalledModel& model : *all) model.bytes = 8'000'000'000;  // 5.2 s are expected
    send(Observed{BackendId{backend}, testing::Kind::kCatalogue, all, nullptr, {}, {}});
  }
  void shows(std::uint32_t backend, std::initializer_list<std::string_view> models) {
    auto all = std::make_shared<Residency>(*testing::residency(models));
    for (LoadedModel& model : *all) model.bytes = model.vram_bytes = 10'000'000'000;
    send(Observed{BackendId{backend}, testing::Kind::kResidency, nullptr, all, {}, {}});
  }
};

TEST(ExpectedCompletion, BesideALoadThatTakesFarTooLongAnotherIsTriedAndNoThird) {
  Unmeasured fleet(3);
  const Asked asked = fleet.ask("a");
  fleet.pass(12s);
  ASSERT_EQ(fleet.loads().size(), 1U);
  fleet.pass(2s);
  ASSERT_EQ(fleet.loads().size(), 2U);
  EXPECT_NE(fleet.loads()[0].backend, fleet.loads()[1].backend);
  fleet.pass(40s);
  ASSERT_EQ(fleet.loads().size(), 2U);
  fleet.send(LoadDone{fleet.loads()[1].backend, named("a"), true, ""});
  EXPECT_EQ(fleet.outcome(asked).at(), fleet.loads()[1].backend.value);
}

TEST(ExpectedCompletion, WhereMemoryIsKnownALateLoadIsASlowDiskAndIsWaitedFor) {
  Hall hall(3);
  hall.ask("a");
  hall.pass(50s);
  EXPECT_EQ(hall.loads().size(), 1U);
}

// The second GPU is to be cleared for a model whose first load stands still; when that is done
// after all, nobody has to leave any more.
TEST(ExpectedCompletion, WhatIsToBeLoadedElsewhereIsCalledOffWhenTheLateLoadIsDone) {
  Unmeasured fleet(2);
  fleet.lists(1, {"a", "b", "c"});
  fleet.shows(1, {"b"});
  ASSERT_TRUE(fleet.ask("c").waits());
  fleet.pass(2s);
  fleet.shows(1, {});  // so both do not fit
  fleet.send(LoadDone{BackendId{1}, named("c"), true, ""});
  fleet.pass(10s);
  fleet.shows(1, {"c"});
  ASSERT_EQ(fleet.ask("c").at(), 1);
  const Asked running = fleet.ask("c");
  ASSERT_EQ(running.at(), 1);
  fleet.forget();

  std::vector<Asked> five;
  for (int i = 0; i < 5; ++i) five.push_back(fleet.ask("a"));
  ASSERT_EQ(fleet.loads().size(), 1U);
  ASSERT_EQ(fleet.loads()[0].backend, BackendId{0});
  fleet.pass(30s);
  fleet.send(LoadDone{BackendId{0}, named("a"), true, ""});
  EXPECT_EQ(fleet.outcome(five[0]).at(), 0);
  EXPECT_EQ(fleet.ask("c").at(), 1) << "it stays";
  EXPECT_TRUE(fleet.unloads().empty());
  EXPECT_EQ(fleet.loads().size(), 1U);
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

TEST(ExpectedCompletion, SomebodyIdleLeavesBeforeTheLoadAndOllamaNeedNotChoose) {
  Hall hall(1);
  hall.shows(0, {"a", "b"});
  hall.pass(60s);
  hall.ask("c");
  EXPECT_TRUE(hall.loads().empty());
  ASSERT_EQ(hall.unloads().size(), 1U);
  const ModelName gone = hall.unloads()[0].model;
  EXPECT_EQ(hall.unloads()[0].reason, UnloadReason::kPlacement);
  hall.shows(0, {gone == named("a") ? "b" : "a"});
  EXPECT_TRUE(hall.loads().empty()) << "its memory is not free yet";
  hall.pass(2s);
  ASSERT_EQ(hall.loads().size(), 1U);
  EXPECT_EQ(hall.loads()[0].model, named("c"));
}

TEST(ExpectedCompletion, WhoIsToLeaveFinishesWhatItHasAndGetsNothingNewThatHoldsOthersUp) {
  Hall hall(1);
  hall.shows(0, {"a", "b"});
  const Asked one = hall.ask("a");
  const Asked two = hall.ask("b");
  hall.pass(60s);
  hall.ask("c");
  hall.pass(30s);
  for (const Asked& each : {one, two}) {
    hall.first_byte(each);
    hall.progress(each, 5);
  }
  EXPECT_TRUE(hall.unloads().empty());
  const Asked more_a = hall.ask("a");
  const Asked more_b = hall.ask("b");
  EXPECT_NE(more_a.waits(), more_b.waits()) << "one of them is leaving";
  hall.served(more_a.waits() ? one : two);
  ASSERT_EQ(hall.unloads().size(), 1U);
  EXPECT_EQ(hall.unloads()[0].model, more_a.waits() ? named("a") : named("b"));
}

// Its memory is not free before its last answer ends.
TEST(ExpectedCompletion, WhoHoldsNobodyUpMayStillBeginWhereAModelLeaves) {
  Hall hall(1);
  hall.shows(0, {"a", "b"});
  const Asked one = hall.ask("a");
  const Asked two = hall.ask("b");
  hall.pass(60s);
  const Asked other = hall.ask("c");
  const Asked more_a = hall.ask("a");
  const Asked more_b = hall.ask("b");
  EXPECT_FALSE(more_a.waits());
  EXPECT_FALSE(more_b.waits());
  for (const Asked& each : {one, two}) hall.served(each);
  EXPECT_TRUE(hall.unloads().empty());
  for (const Asked& each : {more_a, more_b}) hall.served(each);
  EXPECT_EQ(hall.unloads().size(), 1U);
  EXPECT_TRUE(hall.outcome(other).waits());
}

TEST(ExpectedCompletion, WhoIsToLeaveLeavesHoweverShortTheAnswersThatCouldStillBegin) {
  Hall hall(1);
  hall.shows(0, {"a", "b"});
  const Asked one = hall.ask("a");
  const Asked two = hall.ask("b");
  hall.pass(60s);
  for (const Asked& each : {one, two}) {
    hall.first_byte(each);
    hall.progress(each, 4000);  // and so expected to run on for long
  }
  hall.ask("c");
  EXPECT_FALSE(hall.ask("a").waits());
  EXPECT_FALSE(hall.ask("b").waits());
  hall.pass(30s);
  EXPECT_NE(hall.ask("a").waits(), hall.ask("b").waits()) << "one of them is leaving";
}

RequestArrived of_tenant(std::uint64_t id, std::uint64_t tenant, std::string_view model) {
  RequestArrived arrived{RequestId{id}, testing::ask_for(model)};
  arrived.ask.tenant = TenantId{tenant};
  return arrived;
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

TEST(ExpectedCompletion, WhoHasMoreThanAPartSendsNobodyAwayWhomOthersUse) {
  Hall hall(1);
  hall.shows(0, {"a", "b"});
  hall.served(hall.ask(of_tenant(1001, 2, "b")));
  for (std::uint64_t i = 0; i < 3; ++i) hall.ask(of_tenant(1010 + i, 1, "a"));
  EXPECT_TRUE(hall.ask(of_tenant(1020, 1, "c")).waits());
  hall.pass(5s);
  EXPECT_TRUE(hall.unloads().empty());
  EXPECT_TRUE(hall.ask(of_tenant(1021, 2, "c")).waits());
  hall.pass(5s);
  ASSERT_FALSE(hall.unloads().empty());
  EXPECT_EQ(hall.unloads()[0].model, named("b"));
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

TEST(ExpectedCompletion, WhatIsLoadedWhereNothingMayGoIsLoadedElsewhere) {
  Hall hall(2);
  hall.shows(0, {"a"});
  hall.drain(0, true);
  EXPECT_TRUE(hall.ask("a").waits());
  hall.pass(1s);
  ASSERT_EQ(hall.loads().size(), 1U);
  EXPECT_EQ(hall.loads()[0].backend, BackendId{1});
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

TEST(ExpectedCompletion, ABusyModelIsCopiedToAnIdleGpu) {
  Hall hall(2);
  hall.shows(0, {"a"});
  for (int i = 0; i < 30 && hall.loads().empty(); ++i) {
    hall.ask("a");
    hall.pass(1s);
  }
  ASSERT_FALSE(hall.loads().empty());
  EXPECT_EQ(hall.loads()[0].backend, BackendId{1});
  EXPECT_EQ(hall.loads()[0].reason, LoadReason::kCopy);
}

// Three are always under way, so another GPU would be faster; but a load takes 5 s of the disk and
// of that GPU.
TEST(ExpectedCompletion, ACopyHasToWinBackItsLoadWithinSeconds) {
  const auto is_copied = [](Duration between) {
    Hall hall(2);
    hall.shows(0, {"a"});
    std::deque<Asked> running;
    for (int i = 0; i < 200 && hall.loads().empty(); ++i) {
      running.push_back(hall.ask("a"));
      hall.first_byte(running.back());
      hall.pass(between);
      if (running.size() < 3) continue;
      hall.served(running.front());
      running.pop_front();
    }
    return !hall.loads().empty();
  };
  EXPECT_TRUE(is_copied(2s));
  EXPECT_FALSE(is_copied(4s)) << "of so few it would take a minute";
}

// "b" is asked for rarely, and takes a minute to come back: whoever asks for it meanwhile stands in
// line behind the one who had it loaded.
TEST(ExpectedCompletion, WhoTakesLongToComeBackStaysThoughItIsUsedLess) {
  Hall hall(1);
  auto all = std::make_shared<Catalogue>(*testing::catalogue({"a", "b", "c"}));
  for (InstalledModel& model : *all) model.bytes = 8'000'000'000;
  (*all)[1].bytes = 90'000'000'000;
  hall.send(Observed{BackendId{0}, testing::Kind::kCatalogue, all, nullptr, {}, {}});
  hall.shows(0, {"a", "b"});
  for (int i = 0; i < 100; ++i) {
    if (i % 10 == 5) hall.served(hall.ask("b"));
    hall.served(hall.ask("a"));
    hall.pass(20s);
  }
  hall.forget();
  hall.ask("c");
  hall.pass(1s);
  ASSERT_EQ(hall.unloads().size(), 1U);
  EXPECT_EQ(hall.unloads()[0].model, named("a"));
}

// A change that concerns every line: what one event does is bounded, and the next follows.
TEST(ExpectedCompletion, InALargeFleetAFewOfManyLinesAreServedAtATime) {
  constexpr std::uint32_t kInstances = 64;
  Script script(kInstances, by_cost());
  script.all_have({"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"});
  script.has_loaded(0, {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"});
  for (std::uint32_t i = 1; i < kInstances; ++i) script.has_loaded(i, {});
  script.drain(0, true);
  std::vector<Asked> asked;
  for (const char* model : {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}) {
    asked.push_back(script.ask(model));
    ASSERT_TRUE(asked.back().waits());
  }
  const auto granted = [&] {
    return std::ranges::count_if(asked,
                                 [&](const Asked& each) { return !script.outcome(each).waits(); });
  };
  script.drain(0, false);
  EXPECT_EQ(granted(), 1);
  script.pass(10ms);
  EXPECT_EQ(granted(), 10);
}

TEST(ExpectedCompletion, WhatIsConfiguredIsLoadedWhereMemoryIsFree) {
  Hall hall(1);
  hall.shows(0, {"a"});
  hall.send(LoadWanted{BackendId{0}, named("b")});
  ASSERT_EQ(hall.loads().size(), 1U);
  EXPECT_EQ(hall.loads()[0].model, named("b"));
  EXPECT_EQ(hall.loads()[0].reason, LoadReason::kWanted);
  hall.send(LoadWanted{BackendId{0}, named("b")});
  EXPECT_EQ(hall.loads().size(), 1U) << "it is on its way";
}

TEST(ExpectedCompletion, WhatIsConfiguredSendsNobodyAwayWhoIsInUse) {
  Hall hall(1);
  hall.shows(0, {"a", "b"});
  const Asked first = hall.ask("a");
  const Asked second = hall.ask("b");
  hall.send(LoadWanted{BackendId{0}, named("c")});
  hall.pass(1s);
  EXPECT_TRUE(hall.loads().empty());
  EXPECT_TRUE(hall.unloads().empty());
  hall.served(first);
  hall.served(second);
  hall.pass(1h);
  hall.shows(0, {"a", "b"});
  hall.send(LoadWanted{BackendId{0}, named("c")});
  hall.pass(10s);
  ASSERT_FALSE(hall.unloads().empty());
  hall.shows(0, {hall.unloads()[0].model == named("a") ? "b" : "a"});
  hall.pass(30s);
  ASSERT_EQ(hall.loads().size(), 1U);
  EXPECT_EQ(hall.loads()[0].reason, LoadReason::kWanted);
}

Settings with_stay(Stay stay) {
  Settings settings = by_cost();
  settings.stays.push_back(std::move(stay));
  return settings;
}

TEST(ExpectedCompletion, WhatIsPinnedStaysWhoeverWaitsAndHoweverLongItIsUnused) {
  Hall hall(1, with_stay({named("a"), 0, {BackendId{0}}}));
  hall.shows(0, {"a", "b"});
  hall.pass(1h);
  hall.served(hall.ask("b"));
  EXPECT_TRUE(hall.ask("c").waits());
  hall.pass(30s);
  ASSERT_FALSE(hall.unloads().empty());
  for (const Unload& unload : hall.unloads()) EXPECT_EQ(unload.model, named("b"));
}

TEST(ExpectedCompletion, APreloadGivesWayOnlyWhereNobodyElseCan) {
  Hall hall(1, with_stay({named("a"), 1, {}}));
  hall.shows(0, {"a", "b"});
  hall.pass(1h);
  hall.served(hall.ask("b"));
  hall.ask("c");
  hall.pass(10s);
  ASSERT_FALSE(hall.unloads().empty());
  EXPECT_EQ(hall.unloads()[0].model, named("b"));
  Hall full(1, with_stay({named("a"), 1, {}}));
  full.shows(0, {"a"});
  full.pass(1h);
  full.ask("b");
  full.loaded(full.loads().at(0));
  full.shows(0, {"a", "b"});
  EXPECT_TRUE(full.unloads().empty()) << "there was room for both";
}

TEST(ExpectedCompletion, OfAPreloadWhatIsMoreThanConfiguredIsSpare) {
  Hall hall(2, with_stay({named("a"), 1, {}}));
  hall.shows(0, {"a", "b"});
  hall.shows(1, {"a", "b"});
  hall.pass(1h);
  for (int i = 0; i < 3; ++i) hall.served(hall.ask("b"));
  hall.ask("c");
  hall.pass(10s);
  ASSERT_FALSE(hall.unloads().empty());
  for (const Unload& unload : hall.unloads()) EXPECT_EQ(unload.model, named("a"));
}

TEST(ExpectedCompletion, WhoHasMoreThanAPartIsLoadedForAfterHalfOfItsPatience) {
  Settings settings = with_stay({named("a"), 0, {BackendId{0}}});
  settings.queue_wait = 2min;
  Hall hall(1, settings);
  hall.shows(0, {"a", "b"});
  hall.served(hall.ask(of_tenant(1001, 2, "b")));
  for (std::uint64_t i = 0; i < 3; ++i) hall.ask(of_tenant(1010 + i, 1, "a"));
  EXPECT_TRUE(hall.ask(of_tenant(1020, 1, "c")).waits());
  for (std::uint64_t i = 0; i < 11; ++i) {
    hall.served(hall.ask(of_tenant(2000 + i, 2, "b")));
    hall.pass(5s);
  }
  EXPECT_TRUE(hall.unloads().empty()) << "others use it";
  hall.pass(10s);
  ASSERT_FALSE(hall.unloads().empty());
  EXPECT_EQ(hall.unloads()[0].model, named("b"));
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
