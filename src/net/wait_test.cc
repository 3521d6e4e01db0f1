#include "net/wait.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>

#include "base/rng.h"
#include "net/testing.h"

namespace drover::net {
namespace {

using namespace testing;

using Outcome = std::optional<WaitResult>;

TEST(Event, ResumesItsWaiterWhenSet) {
  ManualLoop loop;
  Event event(loop);
  Outcome out;
  loop.spawn(note_event(event, kNever, nullptr, out));
  loop.settle();
  EXPECT_FALSE(out);
  event.set();
  EXPECT_FALSE(out) << "a coroutine must not run inside set()";
  loop.settle();
  EXPECT_EQ(out, WaitResult::kReady);
}

TEST(Event, SetBeforeTheWaitIsRemembered) {
  ManualLoop loop;
  Event event(loop);
  event.set();
  Outcome out;
  loop.spawn(note_event(event, kNever, nullptr, out));
  loop.settle();
  EXPECT_EQ(out, WaitResult::kReady);
}

TEST(Event, ClearMakesTheNextWaitWaitAgain) {
  ManualLoop loop;
  Event event(loop);
  event.set();
  event.clear();
  Outcome out;
  loop.spawn(note_event(event, loop.now() + 1s, nullptr, out));
  loop.settle();
  EXPECT_FALSE(out);
  loop.advance(1s);
  EXPECT_EQ(out, WaitResult::kTimedOut);
}

TEST(Event, OnlyTheFirstOfReadyDeadlineAndCancelCounts) {
  ManualLoop loop;
  Event event(loop);
  Cancel cancel;
  Outcome out;
  loop.spawn(note_event(event, loop.now() + 1s, &cancel, out));
  loop.settle();
  event.set();
  cancel.trigger(CancelReason::kShutdown);
  loop.advance(2s);
  EXPECT_EQ(out, WaitResult::kReady);
  EXPECT_EQ(loop.live_tasks(), 0u);
}

TEST(Cancel, WakesEveryWaitThatHangsOnIt) {
  ManualLoop loop;
  Event first(loop);
  Event second(loop);
  Cancel cancel;
  Outcome a, b, c;
  loop.spawn(note_event(first, kNever, &cancel, a));
  loop.spawn(note_event(second, loop.now() + 1s, &cancel, b));
  loop.spawn(note_sleep(loop, loop.now() + 1s, &cancel, c));
  loop.settle();
  cancel.trigger(CancelReason::kRevoked);
  cancel.trigger(CancelReason::kShutdown);
  loop.settle();
  EXPECT_EQ(a, WaitResult::kCancelled);
  EXPECT_EQ(b, WaitResult::kCancelled);
  EXPECT_EQ(c, WaitResult::kCancelled);
  EXPECT_EQ(cancel.reason(), CancelReason::kRevoked) << "the first reason stays";
}

TEST(Cancel, TriggeredBeforeTheWaitWinsOverReadiness) {
  ManualLoop loop;
  Event event(loop);
  event.set();
  ManualStream stream(loop);
  stream.mark_readable();
  Cancel cancel;
  cancel.trigger(CancelReason::kClientGone);
  Outcome a, b, c;
  loop.spawn(note_event(event, kNever, &cancel, a));
  loop.spawn(note_readable(stream, kNever, &cancel, b));
  loop.spawn(note_sleep(loop, kNever, &cancel, c));
  loop.settle();
  EXPECT_EQ(a, WaitResult::kCancelled);
  EXPECT_EQ(b, WaitResult::kCancelled);
  EXPECT_EQ(c, WaitResult::kCancelled);
}

TEST(Cancel, ResetMakesItUsableAgain) {
  ManualLoop loop;
  Event event(loop);
  Cancel cancel;
  cancel.trigger(CancelReason::kRevoked);
  cancel.reset();
  EXPECT_FALSE(cancel.triggered());
  Outcome out;
  loop.spawn(note_event(event, kNever, &cancel, out));
  loop.settle();
  EXPECT_FALSE(out);
  cancel.trigger(CancelReason::kClientGone);
  loop.settle();
  EXPECT_EQ(out, WaitResult::kCancelled);
}

TEST(Waiter, DestroyedWhileSuspendedLeavesNoTrace) {
  ManualLoop loop;
  Event event(loop);
  Cancel cancel;
  Outcome out;
  {
    OwnedTask task(loop);
    task.start(note_event(event, loop.now() + 1s, &cancel, out));
    loop.settle();
    EXPECT_TRUE(task.running());
  }
  event.set();
  cancel.trigger(CancelReason::kShutdown);
  loop.advance(2s);
  EXPECT_FALSE(out);
  EXPECT_EQ(loop.live_tasks(), 0u);
}

TEST(Waiter, DestroyedAfterItFiredDoesNotRun) {
  ManualLoop loop;
  Event event(loop);
  Outcome out;
  {
    OwnedTask task(loop);
    task.start(note_event(event, kNever, nullptr, out));
    loop.settle();
    event.set();
  }
  loop.settle();
  EXPECT_FALSE(out);
}

TEST(Waiter, OutlivesWhatItWaitedOnWhenFramesAreTornDown) {
  ManualLoop loop;
  Outcome out;
  auto event = std::make_unique<Event>(loop);
  auto cancel = std::make_unique<Cancel>();
  loop.spawn(note_event(*event, loop.now() + 1s, cancel.get(), out));
  loop.settle();
  event.reset();
  cancel.reset();
  loop.advance(2s);
  EXPECT_FALSE(out);
  loop.abandon();
}

TEST(Sleep, WakesAtItsInstantAndNotBefore) {
  ManualLoop loop;
  Outcome out;
  loop.spawn(note_sleep(loop, loop.now() + 10ms, nullptr, out));
  loop.settle();
  loop.advance(9ms);
  EXPECT_FALSE(out);
  loop.advance(1ms);
  EXPECT_EQ(out, WaitResult::kTimedOut);
}

TEST(Sleep, UntilAPastInstantStillYields) {
  ManualLoop loop;
  Outcome out;
  loop.spawn(note_sleep(loop, loop.now() - 1s, nullptr, out));
  loop.turn(loop.now());
  EXPECT_FALSE(out);
  loop.settle();
  EXPECT_EQ(out, WaitResult::kTimedOut);
}

// Waits for one token after the other, each with a fresh deadline a second away.
Task<void> wait_for_tokens(ManualStream& stream, int& tokens, std::optional<Instant>& timed_out) {
  for (;;) {
    const WaitResult waited = co_await stream.readable(stream.loop().now() + 1s);
    if (waited == WaitResult::kTimedOut) break;
    stream.clear_readable();
    ++tokens;
  }
  timed_out = stream.loop().now();
}

TEST(Timer, RearmedToLaterFiresOnlyAtTheLatestDeadline) {
  ManualLoop loop;
  ManualStream stream(loop);
  int tokens = 0;
  std::optional<Instant> timed_out;
  loop.spawn(wait_for_tokens(stream, tokens, timed_out));
  loop.settle();
  for (int i = 0; i < 500; ++i) {
    loop.advance(10ms);
    stream.mark_readable();
    loop.settle();
  }
  EXPECT_EQ(tokens, 500);
  loop.advance(999ms);
  EXPECT_FALSE(timed_out);
  loop.advance(1ms);
  EXPECT_EQ(timed_out, loop.now());
}

// Drives one Timer directly.
class TimedWait : public Waiter {
 public:
  explicit TimedWait(Loop& loop) : Waiter(loop), timer(loop), loop_(loop) {}
  TimedWait(const TimedWait&) = delete;
  TimedWait& operator=(const TimedWait&) = delete;
  ~TimedWait() { leave(); }
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> coroutine) {
    suspend(coroutine, timer, first_deadline, nullptr);
  }
  void await_resume() const {}

  Timer timer;
  Instant first_deadline = kNever;

 private:
  Loop& loop_;
};

Task<void> note_fire(TimedWait*& out, Instant first, Loop& loop, int id,
                     std::vector<std::pair<Instant, int>>& fired) {
  TimedWait wait(loop);
  wait.first_deadline = first;
  out = &wait;
  co_await wait;
  out = nullptr;
  fired.emplace_back(loop.now(), id);
}

// The naive model: a map of id to deadline, looked through at every step.
TEST(Timer, AgreesWithANaiveModelOverRandomArmingAndDisarming) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    ManualLoop loop;
    constexpr int kTimers = 64;
    std::vector<TimedWait*> waits(kTimers, nullptr);
    std::map<int, Instant> model;
    std::vector<std::pair<Instant, int>> fired;
    for (int step = 0; step < 3000; ++step) {
      const int id = static_cast<int>(rng.below(kTimers));
      TimedWait*& wait = waits[static_cast<std::size_t>(id)];
      const Instant deadline =
          loop.now() + std::chrono::microseconds(static_cast<std::int64_t>(rng.below(5000)));
      if (wait == nullptr) {
        loop.spawn(note_fire(wait, deadline, loop, id, fired));
        loop.turn(loop.now());
        model[id] = deadline;
      } else if (rng.below(4) == 0) {
        wait->timer.disarm();
        model.erase(id);
      } else {
        wait->timer.arm(deadline);
        model[id] = deadline;
      }
      fired.clear();
      if (rng.below(3) == 0) {
        loop.advance(std::chrono::microseconds(static_cast<std::int64_t>(rng.below(400))));
      } else {
        loop.settle();
      }
      std::map<int, Instant> due;
      for (auto it = model.begin(); it != model.end();) {
        if (it->second > loop.now()) {
          ++it;
          continue;
        }
        due.insert(*it);
        it = model.erase(it);
      }
      ASSERT_EQ(fired.size(), due.size()) << "step " << step;
      for (const auto& [at, which] : fired) EXPECT_TRUE(due.contains(which));
      Instant earliest = kNever;
      for (const auto& [which, at] : model) earliest = std::min(earliest, at);
      ASSERT_EQ(loop.exact_next_timer(), earliest) << "step " << step;
    }
  }
}

}  // namespace
}  // namespace drover::net
