// What is learned about an instance's memory from what is seen there.

#include "core/seating.h"

#include <gtest/gtest.h>

namespace drover::core {
namespace {

using namespace std::chrono_literals;

constexpr BackendId kHere{0};
constexpr Instant kStart = Instant(1000s);

struct Hall : Seating {
  Hall() : Seating(1) {
    for (ModelIndex model = 0; model < 4; ++model) sized(model);
  }
  void load(ModelIndex model, double bytes) {
    Plan plan;
    plan.model = model;
    plan.bytes = bytes;
    begin(kHere, std::move(plan), now);
    const Ledger nobody(1);
    EXPECT_EQ(next_step(kHere, nobody, now).kind, Step::Kind::kLoad);
  }
  void shows(const std::vector<Listed>& listed) { looked(kHere, listed, now += 2s); }
  Instant now = kStart;
};

TEST(Seating, HowMuchFitsIsLearnedFromWhoHadToLeaveForALoad) {
  Hall hall;
  hall.shows({{0, 10}, {1, 6}});
  EXPECT_FALSE(hall.learned_bytes(kHere)) << "nobody had to leave";
  hall.load(2, 8);
  hall.shows({{1, 6}});
  EXPECT_EQ(hall.learned_bytes(kHere), 20) << "between 16, which fitted, and 24, which did not";
  hall.load_done(kHere, 2, true, hall.now);
  hall.shows({{1, 6}, {2, 8}});
  hall.load(3, 5);
  hall.load_done(kHere, 3, true, hall.now);
  hall.shows({{1, 6}, {2, 8}, {3, 5}});
  EXPECT_EQ(hall.learned_bytes(kHere), 21.5) << "19 fit";
}

TEST(Seating, WhoLeavesWithoutALoadWasOnlyNotUsed) {
  Hall hall;
  hall.shows({{0, 10}, {1, 6}});
  hall.shows({{1, 6}});
  EXPECT_FALSE(hall.learned_bytes(kHere));
}

TEST(Seating, AnHourLaterATenthMoreIsTried) {
  Hall hall;
  hall.shows({{0, 10}});
  hall.load(2, 8);
  hall.shows({});
  EXPECT_EQ(hall.learned_bytes(kHere), 14) << "between 10 and 18";
  hall.now += 61min;
  hall.shows({});
  EXPECT_DOUBLE_EQ(hall.learned_bytes(kHere).value_or(0), 14.9) << "and 19.8";
}

// A night without a load is no proof of eight tenths more.
TEST(Seating, ATenthMoreIsTriedBeforeAnotherOneIsAdded) {
  Hall hall;
  hall.shows({{0, 10}});
  hall.load(2, 8);
  hall.shows({});
  hall.load_done(kHere, 2, true, hall.now);
  hall.shows({{2, 8}});
  for (int hours = 0; hours < 8; ++hours) {
    hall.now += 61min;
    hall.shows({{2, 8}});
  }
  EXPECT_DOUBLE_EQ(hall.learned_bytes(kHere).value_or(0), 14.9) << "between 10 and 19.8";
  hall.load(1, 3);
  hall.load_done(kHere, 1, true, hall.now);
  hall.shows({{1, 3}, {2, 8}});
  hall.now += 61min;
  hall.shows({{1, 3}, {2, 8}});
  EXPECT_DOUBLE_EQ(hall.learned_bytes(kHere).value_or(0), (11 + 21.78) / 2) << "it was tried";
}

// The order to unload went out, and its plan is given up: a look that began before it still lists
// the model, and whoever were sent there would have Ollama load it again.
TEST(Seating, ALookThatBeganBeforeAnUnloadDoesNotBringTheModelBack) {
  Hall hall;
  hall.shows({{0, 10}});
  Seating::Plan plan;
  plan.model = 2;
  plan.leaving = {0};
  hall.begin(kHere, std::move(plan), hall.now);
  const Ledger nobody(1);
  EXPECT_EQ(hall.next_step(kHere, nobody, hall.now).kind, Seating::Step::Kind::kUnload);
  hall.give_up(kHere, hall.now);
  hall.looked(kHere, {{0, 10}}, hall.now += 300ms);
  EXPECT_FALSE(hall.ready(kHere, 0));
  hall.shows({{0, 10}});
  EXPECT_TRUE(hall.ready(kHere, 0)) << "somebody else has loaded it again";
}

}  // namespace
}  // namespace drover::core
