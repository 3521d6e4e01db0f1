// Who goes first because it is more important, who waits because it is less, and whose deadline
// decides.

#include <gtest/gtest.h>

#include <vector>

#include "core/testing.h"
#include "core/wait_queue.h"

namespace drover::core {
namespace {

using testing::Asked;
using namespace std::chrono_literals;

constexpr TenantId kAnn{1};
constexpr TenantId kBob{2};
constexpr Instant kStart = Instant(1000s);

// --- the line ---

struct Queue {
  void wait(std::uint64_t id, Priority priority, Duration patience = 600s, TenantId tenant = kAnn,
            std::uint32_t attempt = 0) {
    RequestArrived request{RequestId{id}, testing::ask_for("a")};
    request.ask.priority = priority;
    request.ask.tenant = tenant;
    request.ask.body_bytes = 100;
    request.attempt = attempt;
    queue.add({std::move(request), Attempt::kFirst, 0, kStart, kStart + patience}, shares);
  }
  std::uint64_t next(std::size_t passed_over = 0) {
    const auto* next = queue.line(0)->next(shares, WaitQueue::Line::Who::kAll, passed_over, held);
    return next == nullptr ? 0 : next->request.request.value;
  }
  WaitQueue queue;
  FairShares shares;
  std::vector<WaitQueue::HeldBack> held;
};

TEST(Priorities, TheMoreImportantComesFirstWheneverItCame) {
  Queue line;
  line.wait(1, Priority::kBatch);
  line.wait(2, Priority::kNormal);
  line.wait(3, Priority::kNormal);
  line.wait(4, Priority::kInteractive);
  std::vector<std::uint64_t> order;
  for (std::size_t i = 0; i < 5; ++i) order.push_back(line.next(i));
  EXPECT_EQ(order, (std::vector<std::uint64_t>{4, 2, 3, 1, 0}));
  EXPECT_EQ(line.queue.line(0)->ahead_of(kBob, Priority::kInteractive), 1U);
  EXPECT_EQ(line.queue.line(0)->ahead_of(kBob, Priority::kNormal), 2U)
      << "of another's two only the one that comes before";
  EXPECT_EQ(line.queue.line(0)->ahead_of(kAnn, Priority::kBatch), 4U);
}

TEST(Priorities, WhoWaitedHalfOfItsPatienceGoesUpABandAndThenAnother) {
  Queue line;
  line.wait(1, Priority::kBatch, 80s);
  line.wait(2, Priority::kNormal);
  EXPECT_EQ(line.queue.next_deadline(), kStart + 40s);
  EXPECT_TRUE(line.queue.rise(kStart + 39s, line.shares).empty());
  EXPECT_EQ(line.queue.rise(kStart + 40s, line.shares), std::vector<ModelIndex>{0});
  EXPECT_EQ(line.queue.size(Priority::kBatch), 0U);
  EXPECT_EQ(line.queue.size(Priority::kNormal), 2U);
  EXPECT_EQ(line.next(), 2U) << "behind those who were there";
  EXPECT_EQ(line.next(1), 1U);
  EXPECT_EQ(line.queue.next_deadline(), kStart + 60s);
  line.queue.rise(kStart + 60s, line.shares);
  EXPECT_EQ(line.next(), 1U);
  EXPECT_EQ(line.queue.next_deadline(), kStart + 80s) << "there is no higher one";
  EXPECT_EQ(line.queue.take_expired(kStart + 80s)->request.request, RequestId{1});
}

TEST(Priorities, BatchWorkCountsWhereModelsArePlacedOnlyWhenNobodyElseIsThere) {
  Queue line;
  line.wait(1, Priority::kBatch);
  line.wait(2, Priority::kBatch);
  EXPECT_EQ(line.queue.counted(0, line.shares), 2U);
  line.wait(3, Priority::kNormal);
  line.shares.queued(kAnn, Priority::kNormal);
  EXPECT_EQ(line.queue.counted(0, line.shares), 1U);
  line.wait(4, Priority::kBatch, 600s, kBob);
  line.shares.queued(kBob, Priority::kBatch);
  EXPECT_EQ(line.queue.counted(0, line.shares), 1U) << "of two tenants neither";
}

TEST(Priorities, NothingOfWhoLeftIsLeft) {
  Queue line;
  line.wait(1, Priority::kBatch, 80s);
  line.queue.rise(kStart + 40s, line.shares);
  ASSERT_TRUE(line.queue.remove(RequestId{1}));
  EXPECT_EQ(line.queue.next_deadline(), kNever);
  EXPECT_TRUE(line.queue.rise(kStart + 600s, line.shares).empty());
  for (const Priority each : {Priority::kInteractive, Priority::kNormal, Priority::kBatch}) {
    EXPECT_EQ(line.queue.size(each), 0U);
  }
}

TEST(Priorities, TheNewestOfTheLeastImportantLeaveFirstWhetherTheyHaveRisenOrNot) {
  Queue line;
  for (const std::uint64_t id : {1, 2, 3}) line.wait(id, Priority::kBatch, 18s + id * 2s);
  line.queue.rise(kStart + 12s, line.shares);
  line.wait(4, Priority::kNormal);
  line.wait(5, Priority::kBatch, 600s, kAnn, 1);
  line.wait(6, Priority::kBatch);
  const auto leave = [&](Priority below, std::size_t places, std::uint64_t bytes,
                         std::size_t most = 8) {
    std::vector<std::uint64_t> ids;
    for (const RequestId each : line.queue.newest_below(below, places, bytes, most)) {
      ids.push_back(each.value);
    }
    return ids;
  };
  using Ids = std::vector<std::uint64_t>;
  EXPECT_EQ(leave(Priority::kBatch, 1, 0), Ids{});
  EXPECT_EQ(leave(Priority::kNormal, 1, 0), Ids{6});
  EXPECT_EQ(leave(Priority::kNormal, 2, 0), Ids{}) << "not who was tried before";
  EXPECT_EQ(leave(Priority::kInteractive, 5, 0), (Ids{6, 4, 3, 2, 1}));
  EXPECT_EQ(leave(Priority::kInteractive, 0, 250), (Ids{6, 4, 3})) << "each has a body of 100";
  EXPECT_EQ(leave(Priority::kInteractive, 5, 0, 4), Ids{}) << "too many for one";
  EXPECT_EQ(leave(Priority::kInteractive, 6, 0), Ids{}) << "so many are not there";
}

// --- the fleet ---

Settings by_cost() {
  Settings settings;
  settings.policy = PolicyName::kExpectedCompletion;
  return settings;
}

// One instance with four slots.
struct Counter : testing::Script {
  explicit Counter(Settings settings = by_cost()) : Script(1, settings) {
    has(0, {"a"});
    has_loaded(0, {"a"});
  }
  Asked ask_as(Priority priority, std::optional<Duration> deadline = {}, TenantId tenant = kAnn) {
    RequestArrived arrived{RequestId{++number_}, testing::ask_for("a"), {}, 0, {}};
    arrived.ask.tenant = tenant;
    arrived.ask.body_bytes = 4000;
    arrived.ask.priority = priority;
    if (deadline) arrived.ask.deadline = now + *deadline;
    return ask(std::move(arrived));
  }
  // All four slots.
  std::vector<Asked> fill(TenantId tenant = kAnn) {
    std::vector<Asked> running;
    for (int i = 0; i < 4; ++i) running.push_back(ask_as(Priority::kNormal, {}, tenant));
    return running;
  }
  // Answers of a known length, so that waits are predicted.
  void learn() {
    for (int i = 0; i < 50; ++i) {
      const Asked each = ask_as(Priority::kNormal);
      pass(1s);
      first_byte(each);
      pass(9s);
      Usage usage;
      usage.prompt_tokens = 1000;
      usage.output_tokens = 200;
      usage.prompt_eval = 1s;
      usage.eval = 9s;
      usage.total = 10s;
      served(each, usage);
    }
  }
  std::uint64_t number_ = 1000;
};

TEST(Priorities, AFreeSlotGoesToTheMoreImportant) {
  Counter counter;
  const std::vector<Asked> running = counter.fill();
  const Asked batch = counter.ask_as(Priority::kBatch);
  const Asked normal = counter.ask_as(Priority::kNormal);
  const Asked interactive = counter.ask_as(Priority::kInteractive);
  EXPECT_EQ(counter.fleet().queued_of, (std::array<std::uint64_t, kPriorities>{1, 1, 1}));
  counter.served(running[0]);
  ASSERT_TRUE(counter.outcome(interactive).granted);
  counter.served(running[1]);
  EXPECT_TRUE(counter.outcome(normal).granted);
  EXPECT_TRUE(counter.outcome(batch).waits());
  const std::string why = counter.outcome(interactive).granted->why.to_string(counter.fleet());
  EXPECT_NE(why.find("with priority interactive"), std::string::npos) << why;
}

TEST(Priorities, BatchWorkLeavesTheLastSlotOfABusyModelWhileOthersAreThere) {
  Counter counter;
  counter.served(counter.ask_as(Priority::kNormal, {}, kBob));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(counter.ask_as(Priority::kBatch).granted);
  const Asked fourth = counter.ask_as(Priority::kBatch);
  EXPECT_TRUE(fourth.waits());
  const Asked normal = counter.ask_as(Priority::kNormal, {}, kBob);
  EXPECT_TRUE(normal.granted) << "the slot was kept for it";
  counter.served(normal);
  counter.pass(29s);
  EXPECT_TRUE(counter.outcome(fourth).waits());
  counter.pass(2s);
  EXPECT_TRUE(counter.outcome(fourth).granted) << "nobody else was there for half a minute";
}

TEST(Priorities, BatchWorkAloneTakesAllSlots) {
  Counter counter;
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(counter.ask_as(Priority::kBatch).granted);
}

TEST(Priorities, WhereNoMoreMayWaitTheLeastImportantGives) {
  Settings settings = by_cost();
  settings.max_queued = 2;
  Counter counter(settings);
  counter.fill();
  const Asked first = counter.ask_as(Priority::kBatch);
  const Asked second = counter.ask_as(Priority::kBatch);
  EXPECT_TRUE(counter.ask_as(Priority::kBatch).refused) << "it is not more important than these";
  const Asked normal = counter.ask_as(Priority::kNormal);
  EXPECT_TRUE(normal.waits());
  EXPECT_TRUE(counter.outcome(first).waits());
  const Asked displaced = counter.outcome(second);
  ASSERT_TRUE(displaced.refused);
  EXPECT_EQ(displaced.kind(), ErrorKind::kUnavailable);
  EXPECT_NE(displaced.message().find("one of a higher priority than 'batch' came"),
            std::string::npos)
      << displaced.message();
  EXPECT_TRUE(displaced.refused->retry_after);
  EXPECT_EQ(counter.fleet().queued, 2U);
}

TEST(Priorities, WhoCouldNotBeLetInDisplacesNobody) {
  Settings settings = by_cost();
  settings.max_queued_bytes = 10'000;
  Counter counter(settings);
  counter.fill();
  const Asked first = counter.ask_as(Priority::kBatch);
  const Asked second = counter.ask_as(Priority::kBatch);
  RequestArrived large{RequestId{1}, testing::ask_for("a"), {}, 0, {}};
  large.ask.priority = Priority::kInteractive;
  large.ask.body_bytes = 11'000;
  EXPECT_TRUE(counter.ask(large).refused);
  EXPECT_TRUE(counter.outcome(first).waits());
  EXPECT_TRUE(counter.outcome(second).waits());
  large.request = RequestId{2};
  large.ask.body_bytes = 5000;
  EXPECT_TRUE(counter.ask(large).waits());
  EXPECT_TRUE(counter.outcome(first).waits());
  EXPECT_TRUE(counter.outcome(second).refused) << "one was enough";
}

// The clock alone lets it rise: nothing else happens.
TEST(Priorities, WhoHasWaitedForHalfOfItsPatienceGetsTheSlotThatWasKeptFromIt) {
  Settings settings = by_cost();
  settings.queue_wait = 40s;
  Counter counter(settings);
  counter.ask_as(Priority::kNormal, {}, kBob);
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(counter.ask_as(Priority::kBatch).granted);
  const Asked batch = counter.ask_as(Priority::kBatch);
  counter.pass(19s);
  EXPECT_TRUE(counter.outcome(batch).waits());
  counter.pass(2s);
  EXPECT_TRUE(counter.outcome(batch).granted);
}

TEST(Deadlines, AnOverlongDeadlineIsNotTheReasonWhenTheLongestWaitIs) {
  Settings settings = by_cost();
  settings.queue_wait = 30s;
  Counter counter(settings);
  counter.fill();
  const Asked asked = counter.ask_as(Priority::kInteractive, 45s);
  counter.pass(31s);
  ASSERT_TRUE(counter.outcome(asked).refused);
  EXPECT_NE(counter.outcome(asked).message().find("no slot was free within 30 s"),
            std::string::npos)
      << counter.outcome(asked).message();
}

TEST(Deadlines, WhoComesTooLateGetsNoSlotThatIsFree) {
  Counter counter;
  const Asked late = counter.ask_as(Priority::kNormal, 0s);
  ASSERT_TRUE(late.refused);
  EXPECT_EQ(late.kind(), ErrorKind::kUnavailable);
  EXPECT_NE(late.message().find("passed before an instance was asked"), std::string::npos)
      << late.message();
}

TEST(Deadlines, WhoWouldBeServedTooLateIsToldSoAtOnce) {
  Counter counter;
  counter.learn();
  counter.fill();
  const Asked late = counter.ask_as(Priority::kNormal, 500ms);
  ASSERT_TRUE(late.refused);
  EXPECT_EQ(late.kind(), ErrorKind::kUnavailable);
  EXPECT_NE(late.message().find("its deadline is in 0.5 s (X-Drover-Deadline)"), std::string::npos)
      << late.message();
  ASSERT_TRUE(late.refused->retry_after);
  EXPECT_TRUE(counter.ask_as(Priority::kNormal, 60s).waits());
  EXPECT_TRUE(counter.ask_as(Priority::kNormal).waits());
}

TEST(Deadlines, WhoIsNotServedByThenIsGivenUpThen) {
  Counter counter;
  counter.fill();
  const Asked asked = counter.ask_as(Priority::kInteractive, 3s);
  const Asked patient = counter.ask_as(Priority::kInteractive);
  ASSERT_TRUE(asked.waits());
  counter.pass(2900ms);
  EXPECT_TRUE(counter.outcome(asked).waits());
  counter.pass(200ms);
  const Asked over = counter.outcome(asked);
  ASSERT_TRUE(over.refused);
  EXPECT_NE(over.message().find("before its deadline (X-Drover-Deadline)"), std::string::npos)
      << over.message();
  EXPECT_TRUE(counter.outcome(patient).waits());
}

// Somebody has to wait for a load, or nobody would ever have it.
TEST(Deadlines, AModelThatNobodyHasLoadedIsLoadedForThoseWhoCannotWaitForIt) {
  Counter counter;
  counter.has(0, {"a", "b"});
  RequestArrived arrived{RequestId{1}, testing::ask_for("b"), {}, 0, {}};
  arrived.ask.deadline = counter.now + 100ms;
  EXPECT_TRUE(counter.ask(arrived).waits());
  EXPECT_EQ(counter.loads().size(), 1U);
  counter.pass(200ms);
  EXPECT_TRUE(counter.outcome(RequestId{1}).refused);
}

TEST(Deadlines, WhoIsLateSaysNothingAboutTheInstance) {
  Counter counter;
  for (int i = 0; i < 3; ++i) {
    counter.ends(counter.ask_as(Priority::kNormal, 1s), AttemptResult::kTooLate);
  }
  EXPECT_EQ(counter.health(0), HealthState::kUp);
  EXPECT_EQ(counter.view(0).failed, 0U);
}

}  // namespace
}  // namespace drover::core
