// Who had what, and who goes first because of it.

#include "core/fair_shares.h"

#include <gtest/gtest.h>

#include <array>
#include <numeric>

#include "base/rng.h"
#include "core/testing.h"
#include "core/wait_queue.h"

namespace drover::core {
namespace {

using namespace std::chrono_literals;

constexpr Priority kNormal = Priority::kNormal;
constexpr TenantId kAnn{1};
constexpr TenantId kBob{2};
constexpr Instant kStart = Instant(1000s);

TEST(FairShares, WhoComesBackHasNoClaimForTheTimeAway) {
  FairShares shares;
  shares.began(kBob, kNormal, 10);
  shares.ended(kBob, kNormal, kStart);
  for (int i = 0; i < 10; ++i) {
    shares.began(kAnn, kNormal, 1000);
    if (i < 9) shares.ended(kAnn, kNormal, kStart + 60s * i);
  }
  shares.pass(kStart + 600s);
  shares.queued(kBob, kNormal);
  EXPECT_EQ(shares.had(kBob), shares.had(kAnn));
}

TEST(FairShares, AboveItsShareIsWhoRunsMoreThanAnEqualPartWhileOthersAreActive) {
  FairShares shares;
  for (int i = 0; i < 3; ++i) shares.began(kAnn, kNormal, 100);
  EXPECT_FALSE(shares.above_share(kAnn)) << "nobody else is there";
  shares.began(kBob, kNormal, 100);
  EXPECT_TRUE(shares.above_share(kAnn));
  EXPECT_FALSE(shares.above_share(kBob));
  shares.ended(kBob, kNormal, kStart + 1s);
  shares.pass(kStart + 20s);
  EXPECT_TRUE(shares.above_share(kAnn)) << "Bob thinks";
  shares.pass(kStart + 31s);
  EXPECT_FALSE(shares.above_share(kAnn)) << "Bob has left";
}

TEST(FairShares, NobodyIsAboveTheirShareWithTwoRequests) {
  FairShares shares;
  for (std::uint64_t i = 10; i < 20; ++i) {  // ten others, who think
    shares.began(TenantId{i}, kNormal, 100);
    shares.ended(TenantId{i}, kNormal, kStart);
  }
  for (int i = 0; i < 2; ++i) shares.began(kAnn, kNormal, 100);
  EXPECT_FALSE(shares.above_share(kAnn)) << "two of two";
  shares.began(kAnn, kNormal, 100);
  EXPECT_TRUE(shares.above_share(kAnn)) << "three of three";
}

TEST(FairShares, OnlySoManyWhoLeftAreRemembered) {
  FairShares shares;
  shares.began(kAnn, kNormal, 500);
  shares.ended(kAnn, kNormal, kStart);
  for (std::uint64_t i = 0; i < FairShares::kMaxResting; ++i) {
    shares.began(TenantId{100 + i}, kNormal, 1);
    shares.ended(TenantId{100 + i}, kNormal, kStart + 1s);
  }
  EXPECT_EQ(shares.had(kAnn), 500);
  shares.pass(kStart + 60s);
  EXPECT_EQ(shares.had(kAnn), 0);
}

// Two who always have something waiting: what they had never differs by more than the dearest
// request and what was begun on trust (twice, for prediction and truth).
TEST(FairShares, TheGapBetweenTwoBackloggedTenantsIsBounded) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Rng rng(seed);
    FairShares shares;
    shares.queued(kAnn, kNormal);
    shares.queued(kBob, kNormal);
    double truth[3] = {};
    for (int i = 0; i < 2000; ++i) {
      const TenantId next = shares.had(kAnn) <= shares.had(kBob) ? kAnn : kBob;
      const double predicted = 100 + static_cast<double>(rng.below(100));
      const double actual = static_cast<double>(rng.below(next == kAnn ? 1000 : 100));
      shares.began(next, kNormal, predicted);
      shares.correct(next, actual - predicted);
      shares.ended(next, kNormal, kStart);
      truth[next.value] += actual;
      ASSERT_LE(std::abs(truth[1] - truth[2]), 2 * 1000.0) << "seed " << seed;
    }
  }
}

Settings by_cost() {
  Settings settings;
  settings.policy = PolicyName::kExpectedCompletion;
  return settings;
}

struct Counter : testing::Script {
  Counter() : Script(1, by_cost()) {
    has(0, {"a"});
    has_loaded(0, {"a"});
  }
  testing::Asked ask_as(TenantId tenant) {
    RequestArrived arrived{RequestId{++number_}, testing::ask_for("a"), {}, 0, {}};
    arrived.ask.tenant = tenant;
    arrived.ask.body_bytes = 4000;
    return ask(std::move(arrived));
  }
  std::uint64_t number_ = 1000;
};

TEST(FairQueueing, WhoHadLessGoesBeforeALongerBacklogThatCameFirst) {
  Counter counter;
  std::vector<testing::Asked> ann;
  for (int i = 0; i < 10; ++i) ann.push_back(counter.ask_as(kAnn));
  const testing::Asked bob = counter.ask_as(kBob);
  ASSERT_TRUE(bob.waits());
  counter.first_byte(ann[0]);
  counter.served(ann[0]);
  EXPECT_TRUE(counter.outcome(bob).granted);
  EXPECT_TRUE(counter.outcome(ann[4]).waits());
}

TEST(FairQueueing, WhoIsAboveItsShareDoesNotTakeTheLastSlotWhileOthersAreActive) {
  Counter counter;
  const testing::Asked bob = counter.ask_as(kBob);
  counter.served(bob);
  std::vector<testing::Asked> ann;
  for (int i = 0; i < 6; ++i) ann.push_back(counter.ask_as(kAnn));
  EXPECT_TRUE(ann[2].granted);
  EXPECT_TRUE(ann[3].waits()) << "the fourth slot is Bob's, for a while";
  EXPECT_TRUE(counter.ask_as(kBob).granted);
}

TEST(FairQueueing, TheKeptSlotIsGivenAwayWhenNobodyElseComes) {
  Counter counter;
  counter.served(counter.ask_as(kBob));
  std::vector<testing::Asked> ann;
  for (int i = 0; i < 6; ++i) ann.push_back(counter.ask_as(kAnn));
  ASSERT_TRUE(ann[3].waits());
  counter.pass(31s);
  EXPECT_TRUE(counter.outcome(ann[3]).granted);
}

// Whoever sorts all of them anew each time says the same.
TEST(FairShares, WhoLeavesTheLastSlotIsWhatACountOfEverybodySays) {
  constexpr std::size_t kTenants = 5;
  Rng rng(7);
  FairShares shares;
  std::array<std::uint32_t, kTenants> running{};
  const auto id = [](std::size_t tenant) { return TenantId{tenant + 1}; };
  for (std::size_t i = 0; i < kTenants; ++i) shares.began(id(i), kNormal, 10);
  running.fill(1);
  int left = 0;
  int spared = 0;
  for (int step = 0; step < 20'000; ++step) {
    const std::size_t who = rng.below(kTenants);
    const auto tokens = static_cast<double>(rng.below(300));
    switch (rng.below(3)) {
      case 0:
        if (running[who] > 8) break;
        ++running[who];
        shares.began(id(who), kNormal, tokens);
        break;
      case 1:
        if (running[who] == 1) break;
        --running[who];
        shares.ended(id(who), kNormal, kStart);
        break;
      default:
        shares.correct(id(who), tokens - 100);
    }
    const std::uint32_t all = std::accumulate(running.begin(), running.end(), 0U);
    for (std::size_t i = 0; i < kTenants; ++i) {
      bool least = true;
      for (std::size_t k = 0; k < kTenants; ++k) {
        least = least && (k == i || shares.had(id(i)) < shares.had(id(k)));
      }
      const bool above = running[i] > FairShares::kNoBacklog && running[i] * kTenants > all;
      const bool leaves = shares.leaves_last_slot(id(i), kNormal);
      ASSERT_EQ(leaves, above && !least) << "step " << step;
      left += leaves ? 1 : 0;
      spared += above && least ? 1 : 0;
    }
  }
  EXPECT_GT(left, 1000);
  EXPECT_GT(spared, 100);
}

// Ann has three of five, and her next one leaves the last slot of its GPU to others.
class TwoPairs {
 public:
  explicit TwoPairs(std::initializer_list<std::string_view> loaded) : script(specs(), by_cost()) {
    script.has(0, {"a", "c"});
    script.has(1, {"b", "d"});
    script.has_loaded(0, {"a", "c"});
    script.has_loaded(1, loaded);
    for (const char* model : {"b", "b"}) EXPECT_TRUE(ask(kBob, model).granted);
    for (const char* model : {"a", "c", "c"}) EXPECT_TRUE(ask(kAnn, model).granted);
    ann = ask(kAnn, "a");
    EXPECT_TRUE(ann.waits());
  }
  testing::Asked ask(TenantId tenant, std::string_view model) {
    RequestArrived arrived{RequestId{++number_}, testing::ask_for(model), {}, 0, {}};
    arrived.ask.tenant = tenant;
    arrived.ask.body_bytes = 4000;
    return script.ask(std::move(arrived));
  }
  testing::Script script;
  testing::Asked ann;

 private:
  static std::vector<BackendSpec> specs() {
    std::vector<BackendSpec> specs = testing::specs(2);
    for (BackendSpec& spec : specs) spec.slots = 2;
    return specs;
  }
  std::uint64_t number_ = 0;
};

// What is an equal part changes with every beginning, in other lines too.
TEST(FairQueueing, TheKeptSlotIsGivenAwayWhenItsShareGrew) {
  TwoPairs fleet({"b", "d"});
  ASSERT_TRUE(fleet.ask(kBob, "d").granted);
  EXPECT_TRUE(fleet.script.outcome(fleet.ann).granted) << "three of six are an equal part";
}

TEST(FairQueueing, TheKeptSlotIsGivenAwayWhenItsShareGrewByOneWhoHadWaited) {
  TwoPairs fleet({"b"});
  const testing::Asked bob = fleet.ask(kBob, "d");
  ASSERT_TRUE(bob.waits());
  ASSERT_TRUE(fleet.script.outcome(fleet.ann).waits());
  fleet.script.has_loaded(1, {"b", "d"});
  ASSERT_TRUE(fleet.script.outcome(bob).granted);
  fleet.script.pass(1ms);
  EXPECT_TRUE(fleet.script.outcome(fleet.ann).granted) << "three of six are an equal part";
}

// Ann is passed over. Bob, who would be next, has had more elsewhere since he was put in line: that
// puts him behind Cid, and Ann is still the one who is passed over.
TEST(FairQueueing, WhoIsPassedOverStaysSoWhenAnotherMovesToTheBack) {
  constexpr TenantId kCid{3};
  FairShares shares;
  WaitQueue queue;
  std::uint64_t number = 0;
  for (const TenantId tenant : {kAnn, kBob, kCid}) {
    RequestArrived arrived{RequestId{++number}, testing::ask_for("a"), {}, 0, {}};
    arrived.ask.tenant = tenant;
    shares.queued(tenant, kNormal);
    queue.add({arrived, Attempt::kFirst, 0, kStart, kStart + 60s}, shares);
  }
  shares.began(kBob, kNormal, 1000);
  std::vector<WaitQueue::HeldBack> held;
  const auto behind = [&](std::size_t passed_over) {
    const auto who = WaitQueue::Line::Who::kAll;
    return queue.line(0)->next(shares, who, passed_over, held)->request.ask.tenant;
  };
  EXPECT_EQ(behind(1), kCid);
  EXPECT_EQ(behind(0), kAnn);
  EXPECT_EQ(behind(2), kBob);
}

TEST(FairQueueing, OfWhoHasMoreThanItsShareNothingCountsWhereOthersWouldHaveToLeave) {
  FairShares shares;
  WaitQueue queue;
  const auto waits = [&](TenantId tenant, std::uint64_t number) {
    RequestArrived arrived{RequestId{number}, testing::ask_for("a"), {}, 0, {}};
    arrived.ask.tenant = tenant;
    shares.queued(tenant, kNormal);
    queue.add({arrived, Attempt::kFirst, 0, kStart, kStart + 60s}, shares);
  };
  for (std::uint64_t i = 1; i <= 20; ++i) waits(kAnn, i);
  EXPECT_EQ(queue.counted(0, shares), 20U) << "nobody else is there";
  waits(kBob, 21);
  EXPECT_EQ(queue.counted(0, shares), WaitQueue::kCountedOfTenant + 1);
  for (int i = 0; i < 3; ++i) shares.began(kAnn, kNormal, 100);
  EXPECT_EQ(queue.counted(0, shares), 1U) << "all that runs is Ann's";
}

// Somebody who waited for a slot, then for memory, and waits for a slot again.
TEST(FairQueueing, WhoComesWithLessPatienceThanThoseBeforeItIsGivenUpFirst) {
  FairShares shares;
  WaitQueue queue;
  const auto wait = [&](std::uint64_t id, Duration until) {
    RequestArrived request{RequestId{id}, testing::ask_for("a")};
    request.ask.priority = Priority::kInteractive;
    queue.add({std::move(request), Attempt::kFirst, 0, kStart, kStart + until}, shares);
  };
  wait(1, 10s);
  wait(2, 20s);
  wait(3, 5s);
  EXPECT_EQ(queue.next_deadline(), kStart + 5s);
  EXPECT_EQ(queue.take_expired(kStart + 5s)->request.request, RequestId{3});
  EXPECT_EQ(queue.take_expired(kStart + 10s)->request.request, RequestId{1});
  EXPECT_FALSE(queue.take_expired(kStart + 19s));
}

}  // namespace
}  // namespace drover::core
