#include "net/loop.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "net/epoll_loop.h"
#include "net/frame_memory.h"
#include "net/testing.h"

namespace drover::net {
namespace {

using namespace testing;

// Says when it dies.
class Witness {
 public:
  Witness(std::string& log, char name) : log_(&log), name_(name) {}
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;
  ~Witness() { *log_ += name_; }

 private:
  std::string* log_;
  char name_;
};

Task<void> append(std::string& log, char name) {
  log += name;
  co_return;
}

Task<int> add(int a, int b) { co_return a + b; }

Task<std::unique_ptr<int>> boxed(Loop& loop, int value) {
  co_await loop.sleep_for(1ms);
  co_return std::make_unique<int>(value);
}

Task<void> sum(Loop& loop, int& out) {
  const int direct = co_await add(1, 2);
  const std::unique_ptr<int> box = co_await boxed(loop, 4);
  out = direct + *box;
}

Task<void> add_many(int times, std::int64_t& total) {
  for (int i = 0; i < times; ++i) {
    const int one = co_await add(i % 2, 1 - i % 2);
    total += one;
  }
}

Task<void> sleep_inner(Loop& loop, std::string& log) {
  const Witness witness(log, 'i');
  co_await loop.sleep_until(kNever);
}

Task<void> sleep_outer(Loop& loop, std::string& log) {
  const Witness witness(log, 'o');
  co_await sleep_inner(loop, log);
}

Task<void> sleep_named(Loop& loop, std::string& log, char name) {
  const Witness witness(log, name);
  co_await loop.sleep_until(kNever);
}

TEST(Task, PassesValuesUpAcrossWaits) {
  ManualLoop loop;
  int out = 0;
  loop.spawn(sum(loop, out));
  loop.settle();
  loop.advance(1ms);
  EXPECT_EQ(out, 7);
  EXPECT_EQ(loop.live_tasks(), 0u);
}

TEST(Task, ThatNeverWaitsDoesNotGrowTheStack) {
  ManualLoop loop;
  std::int64_t total = 0;
  loop.spawn(add_many(1'000'000, total));
  loop.settle();
  EXPECT_EQ(total, 1'000'000);
}

TEST(Task, CompletedHasTheEmptyValueAtOnce) {
  auto await_it = [](bool& ok) -> Task<void> {  // captures nothing
    const Result<void> done = co_await Task<Result<void>>::completed();
    ok = done.ok();
  };
  ManualLoop loop;
  bool ok = false;
  loop.spawn(await_it(ok));
  loop.settle();
  EXPECT_TRUE(ok);
}

#ifndef DROVER_SANITIZED
TEST(FrameMemory, AFrameTakesTheMemoryOfOneOfItsSizeThatHasEnded) {
  void* const first = allocate_frame(200);
  void* const other = allocate_frame(300);
  release_frame(first, 200);
  void* const again = allocate_frame(199);  // rounded up to the same
  EXPECT_EQ(again, first);
  release_frame(again, 199);
  release_frame(other, 300);
}
#endif

TEST(FrameMemory, AnySizeAndAnyNumberIsGivenBack) {
  std::vector<void*> frames;
  for (const std::size_t bytes : {1U, 16U, 1024U, 2048U, 2049U, 100'000U}) {
    for (int i = 0; i < 200; ++i) frames.push_back(allocate_frame(bytes));
    for (void* const frame : frames) std::memset(frame, 0xAB, bytes);
    for (void* const frame : frames) release_frame(frame, bytes);
    frames.clear();
  }
}

TEST(Loop, ABufferThatWasGivenBackServesAgain) {
  ManualLoop loop;
  EXPECT_TRUE(loop.take_buffer().empty());
  std::string buffer(1000, 'x');
  const char* const room = buffer.data();
  loop.give_buffer(std::move(buffer));
  const std::string again = loop.take_buffer();
  EXPECT_TRUE(again.empty());
  EXPECT_EQ(again.data(), room);
}

TEST(Loop, BuffersAreKeptInSmallNumbersAndSizes) {
  ManualLoop loop;
  loop.give_buffer(std::string(100'000, 'x'));
  EXPECT_LT(loop.take_buffer().capacity(), 1000U) << "too large to keep";
  for (int i = 0; i < 100; ++i) loop.give_buffer(std::string(1000, 'x'));
  int kept = 0;
  while (loop.take_buffer().capacity() >= 1000) ++kept;
  EXPECT_EQ(kept, 32);
}

TEST(Loop, SpawnRunsAtTheNextTurnInOrder) {
  ManualLoop loop;
  std::string log;
  loop.spawn(append(log, 'a'));
  loop.spawn(append(log, 'b'));
  EXPECT_EQ(log, "");
  EXPECT_EQ(loop.live_tasks(), 2u);
  loop.turn(loop.now());
  EXPECT_EQ(log, "ab");
  EXPECT_EQ(loop.live_tasks(), 0u);
}

Task<void> append_late(Loop& loop, std::string& log, char before, char after) {
  log += before;
  co_await loop.late();
  log += after;
}

TEST(Loop, LateIsBehindAllWhoAreReadyAndInTheSameTurn) {
  ManualLoop loop;
  std::string log;
  loop.spawn(append_late(loop, log, 'a', 'A'));
  loop.spawn(append_late(loop, log, 'b', 'B'));
  loop.spawn(append(log, 'c'));
  loop.turn(loop.now());
  EXPECT_EQ(log, "abcAB");
}

Task<void> toss(Event& mine, Event& other) {
  for (;;) {
    (void)co_await mine.wait(kNever);
    mine.clear();
    other.set();
  }
}

TEST(Loop, APairThatNeverStopsDoesNotStarveWhoIsLate) {
  ManualLoop loop;
  std::string log;
  Event one(loop), other(loop);
  one.set();
  loop.spawn(toss(one, other));
  loop.spawn(toss(other, one));
  loop.spawn(append_late(loop, log, 'a', 'A'));
  loop.turn(loop.now());
  EXPECT_EQ(log, "aA");
  loop.abandon();
}

TEST(Loop, AFrameThatWaitsToBeLateCanBeDestroyed) {
  ManualLoop loop;
  std::string log;
  OwnedTask late(loop);
  late.start(append_late(loop, log, 'a', 'A'));
  auto stop = [](OwnedTask& task) -> Task<void> {  // captures nothing
    task.stop();
    co_return;
  };
  loop.spawn(stop(late));
  loop.turn(loop.now());
  EXPECT_EQ(log, "a");
}

TEST(Loop, AbandonDestroysInnermostFirstAndNewestFirst) {
  ManualLoop loop;
  std::string log;
  loop.spawn(sleep_outer(loop, log));
  loop.spawn(sleep_named(loop, log, 'n'));
  loop.settle();
  loop.abandon();
  EXPECT_EQ(log, "nio");
  EXPECT_EQ(loop.live_tasks(), 0u);
}

TEST(Loop, AbandonFreesTasksThatNeverRan) {
  ManualLoop loop;
  std::string log;
  loop.spawn(sleep_outer(loop, log));
  loop.abandon();
  EXPECT_EQ(loop.live_tasks(), 0u);
  loop.settle();
  EXPECT_EQ(log, "");
}

TEST(Loop, DestructorAbandons) {
  std::string log;
  {
    EpollLoop loop;
    loop.spawn(sleep_outer(loop, log));
    loop.turn(loop.now());
  }
  EXPECT_EQ(log, "io");
}

Task<void> spin(Loop& loop, Event& mine, Event& other, int& hops) {
  while (hops < 1000) {
    co_await mine.wait(kNever);
    mine.clear();
    ++hops;
    other.set();
  }
  loop.stop();
}

TEST(Loop, CoroutinesThatKeepWakingEachOtherDoNotStarveTimers) {
  EpollLoop loop;
  Event ping(loop);
  Event pong(loop);
  int hops = 0;
  std::optional<WaitResult> slept;
  loop.spawn(note_sleep(loop, loop.now(), nullptr, slept));
  loop.spawn(spin(loop, ping, pong, hops));
  loop.spawn(spin(loop, pong, ping, hops));
  ping.set();
  for (int i = 0; i < 3; ++i) loop.turn(loop.now());
  EXPECT_TRUE(slept);
  EXPECT_LT(hops, 1000);
  loop.run();
  EXPECT_GE(hops, 1000);
}

TEST(Loop, PostRunsOnTheLoopAndWakesItOnce) {
  ManualLoop loop;
  std::string log;
  loop.post([&log] { log += 'a'; });
  loop.post([&log] { log += 'b'; });
  EXPECT_EQ(loop.wakes(), 1);
  loop.settle();
  EXPECT_EQ(log, "ab");
}

TEST(Loop, PostedWorkMayPostAgain) {
  EpollLoop loop;
  int depth = 0;
  std::function<void()> again = [&] {
    if (++depth == 5) {
      loop.stop();
    } else {
      loop.post(again);
    }
  };
  loop.post(again);
  loop.run();
  EXPECT_EQ(depth, 5);
}

TEST(Loop, PostsFromThreadsAllArrive) {
  EpollLoop loop;
  constexpr int kThreads = 4;
  constexpr int kPosts = 2000;
  int arrived = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&loop, &arrived] {
      for (int i = 0; i < kPosts; ++i) {
        loop.post([&loop, &arrived] {
          if (++arrived == kThreads * kPosts) loop.stop();
        });
      }
    });
  }
  loop.run();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(arrived, kThreads * kPosts);
}

TEST(Loop, StopFromAThreadEndsAnIdleRun) {
  EpollLoop loop;
  std::thread stopper([&loop] { loop.stop(); });
  loop.run();
  stopper.join();
}

TEST(Loop, StopBeforeRunCountsOnce) {
  EpollLoop loop;
  loop.stop();
  loop.run();
  std::string log;
  loop.post([&] {
    log += 'x';
    loop.stop();
  });
  loop.run();
  EXPECT_EQ(log, "x");
}

TEST(OwnedTask, EndsByItselfAndCanStartAgain) {
  ManualLoop loop;
  std::string log;
  OwnedTask task(loop);
  task.start(append(log, 'a'));
  EXPECT_TRUE(task.running());
  loop.settle();
  EXPECT_FALSE(task.running());
  task.start(append(log, 'b'));
  loop.settle();
  EXPECT_EQ(log, "ab");
}

TEST(OwnedTask, StopDestroysTheFrames) {
  ManualLoop loop;
  std::string log;
  OwnedTask task(loop);
  task.start(sleep_outer(loop, log));
  loop.settle();
  task.stop();
  EXPECT_EQ(log, "io");
  EXPECT_FALSE(task.running());
  EXPECT_EQ(loop.live_tasks(), 0u);
}

Task<void> stop_and_spawn(Loop& loop, OwnedTask& task, std::string& log) {
  task.stop();
  loop.spawn(append(log, 'c'));
  log += 'a';
  co_return;
}

TEST(OwnedTask, MayBeStoppedByATaskThatStartsBeforeIt) {
  ManualLoop loop;
  std::string log;
  OwnedTask task(loop);
  loop.spawn(stop_and_spawn(loop, task, log));
  task.start(append(log, 'b'));
  loop.settle();
  EXPECT_EQ(log, "ac");
  EXPECT_EQ(loop.live_tasks(), 0u);
}

TEST(OwnedTask, SurvivesAbandon) {
  ManualLoop loop;
  std::string log;
  OwnedTask task(loop);
  task.start(sleep_outer(loop, log));
  loop.settle();
  loop.abandon();
  EXPECT_FALSE(task.running());
}

TEST(EpollLoop, TimersFireNeverEarlyInRealTime) {
  EpollLoop loop;
  const Instant until = loop.now() + 3ms;
  std::optional<WaitResult> out;
  run_to_end(loop, note_sleep(loop, until, nullptr, out));
  EXPECT_EQ(out, WaitResult::kTimedOut);
  EXPECT_GE(loop.now(), until);
}

TEST(EpollLoop, WallTimeIsOfThisCentury) {
  const EpollLoop loop;
  EXPECT_GT(loop.wall_now().unix_nanos, 1'600'000'000'000'000'000);
}

}  // namespace
}  // namespace drover::net
