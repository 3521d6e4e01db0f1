#include "net/worker.h"

#include <gtest/gtest.h>

#include <future>
#include <optional>
#include <thread>

#include "net/epoll_loop.h"

namespace drover::net {
namespace {

TEST(Worker, WorksOnAThreadOfItsOwnAndIsDoneOnTheLoop) {
  EpollLoop loop;
  Worker worker(loop, "test");
  auto worked_on = std::make_shared<std::thread::id>();
  std::thread::id done_on;
  worker.run([worked_on] { *worked_on = std::this_thread::get_id(); },
             [&] {
               done_on = std::this_thread::get_id();
               loop.stop();
             });
  EXPECT_TRUE(worker.busy());
  loop.run();
  EXPECT_FALSE(worker.busy());
  EXPECT_EQ(done_on, std::this_thread::get_id());
  EXPECT_NE(*worked_on, done_on);
}

TEST(Worker, WorksAgainAndAgain) {
  EpollLoop loop;
  Worker worker(loop, "test");
  int rounds = 0;
  std::function<void()> again = [&] {
    if (++rounds == 100) return loop.stop();
    worker.run([] {}, again);
  };
  worker.run([] {}, again);
  loop.run();
  EXPECT_EQ(rounds, 100);
}

TEST(Worker, LeavesACallThatHangsBehind) {
  EpollLoop loop;
  auto begun = std::make_shared<std::promise<void>>();
  auto release = std::make_shared<std::promise<void>>();
  auto ended = std::make_shared<std::promise<void>>();
  std::future<void> has_ended = ended->get_future();
  std::optional<Worker> worker(std::in_place, loop, "test");
  worker->run(
      [begun, release, ended] {
        begun->set_value();
        release->get_future().wait();
        ended->set_value();
      },
      [] { ADD_FAILURE() << "done after the worker was gone"; });
  begun->get_future().wait();
  worker.reset();  // returns although the call does not
  release->set_value();
  has_ended.wait();
  loop.turn(loop.now());
}

TEST(Worker, IsNotDoneWhenItLeavesBetweenTheCallAndTheLoop) {
  EpollLoop loop;
  std::optional<Worker> worker(std::in_place, loop, "test");
  auto ended = std::make_shared<std::promise<void>>();
  std::future<void> has_ended = ended->get_future();
  worker->run([ended] { ended->set_value(); },
              [] { ADD_FAILURE() << "done after the worker was gone"; });
  has_ended.wait();
  worker.reset();
  loop.turn(loop.now());
}

TEST(Worker, MayEndInItsOwnLastWord) {
  EpollLoop loop;
  std::optional<Worker> worker(std::in_place, loop, "test");
  worker->run([] {},
              [&] {
                worker.reset();
                loop.stop();
              });
  loop.run();
  EXPECT_FALSE(worker);
}

}  // namespace
}  // namespace drover::net
