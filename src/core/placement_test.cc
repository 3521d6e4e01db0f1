// What expected_completion has loaded and unloaded, and where.

#include <gtest/gtest.h>

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

TEST(Placement, BesideALoadThatTakesFarTooLongAnotherIsTriedAndNoThird) {
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

TEST(Placement, WhereMemoryIsKnownALateLoadIsASlowDiskAndIsWaitedFor) {
  Hall hall(3);
  hall.ask("a");
  hall.pass(50s);
  EXPECT_EQ(hall.loads().size(), 1U);
}

// The second GPU is to be cleared for a model whose first load stands still; when that is done
// after all, nobody has to leave any more.
TEST(Placement, WhatIsToBeLoadedElsewhereIsCalledOffWhenTheLateLoadIsDone) {
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

TEST(Placement, SomebodyIdleLeavesBeforeTheLoadAndOllamaNeedNotChoose) {
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

TEST(Placement, WhoIsToLeaveFinishesWhatItHasAndGetsNothingNewThatHoldsOthersUp) {
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
TEST(Placement, WhoHoldsNobodyUpMayStillBeginWhereAModelLeaves) {
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

TEST(Placement, WhoIsToLeaveLeavesHoweverShortTheAnswersThatCouldStillBegin) {
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

TEST(Placement, WhoHasMoreThanAPartSendsNobodyAwayWhomOthersUse) {
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

TEST(Placement, WhatIsLoadedWhereNothingMayGoIsLoadedElsewhere) {
  Hall hall(2);
  hall.shows(0, {"a"});
  hall.drain(0, true);
  EXPECT_TRUE(hall.ask("a").waits());
  hall.pass(1s);
  ASSERT_EQ(hall.loads().size(), 1U);
  EXPECT_EQ(hall.loads()[0].backend, BackendId{1});
}

TEST(Placement, ABusyModelIsCopiedToAnIdleGpu) {
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
TEST(Placement, ACopyHasToWinBackItsLoadWithinSeconds) {
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

// No GPU has room for it, and nobody uses what is there: it leaves as soon as who comes next would
// wait for longer than that takes.
TEST(Placement, ALineThatIsLongerThanALoadGetsASecondOne) {
  Hall hall(2);
  hall.shows(0, {"a", "b"});
  hall.shows(1, {"b", "c"});
  hall.pass(60s);
  double waits = 0;
  for (int i = 0; i < 100 && hall.unloads().empty(); ++i) {
    hall.ask("a");
    const FleetView view = hall.fleet();
    waits = view.lines.empty() ? 0 : to_seconds(view.lines[0].expected_wait);
    hall.pass(300ms);
  }
  constexpr double kLoadAndRoom = 5.2 + 2.5;
  EXPECT_GT(waits, kLoadAndRoom);
  EXPECT_LT(waits, 1.3 * kLoadAndRoom);
  ASSERT_EQ(hall.unloads().size(), 1U);
  EXPECT_EQ(hall.unloads()[0].backend, BackendId{1});
}

// "b" is asked for rarely, and takes a minute to come back: whoever asks for it meanwhile stands in
// line behind the one who had it loaded.
TEST(Placement, WhoTakesLongToComeBackStaysThoughItIsUsedLess) {
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

TEST(Placement, WhatIsConfiguredIsLoadedWhereMemoryIsFree) {
  Hall hall(1);
  hall.shows(0, {"a"});
  hall.send(LoadWanted{BackendId{0}, named("b")});
  ASSERT_EQ(hall.loads().size(), 1U);
  EXPECT_EQ(hall.loads()[0].model, named("b"));
  EXPECT_EQ(hall.loads()[0].reason, LoadReason::kWanted);
  hall.send(LoadWanted{BackendId{0}, named("b")});
  EXPECT_EQ(hall.loads().size(), 1U) << "it is on its way";
}

TEST(Placement, WhatIsConfiguredSendsNobodyAwayWhoIsInUse) {
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

TEST(Placement, WhatIsPinnedStaysWhoeverWaitsAndHoweverLongItIsUnused) {
  Hall hall(1, with_stay({named("a"), 0, {BackendId{0}}}));
  hall.shows(0, {"a", "b"});
  hall.pass(1h);
  hall.served(hall.ask("b"));
  EXPECT_TRUE(hall.ask("c").waits());
  hall.pass(30s);
  ASSERT_FALSE(hall.unloads().empty());
  for (const Unload& unload : hall.unloads()) EXPECT_EQ(unload.model, named("b"));
}

TEST(Placement, APreloadGivesWayOnlyWhereNobodyElseCan) {
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

TEST(Placement, OfAPreloadWhatIsMoreThanConfiguredIsSpare) {
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

TEST(Placement, WhoHasMoreThanAPartIsLoadedForAfterHalfOfItsPatience) {
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

}  // namespace
}  // namespace drover::core
