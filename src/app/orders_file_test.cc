#include "app/orders_file.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "app/testing.h"
#include "net/epoll_loop.h"

namespace drover::app {
namespace {

constexpr Duration kMoment = std::chrono::milliseconds(1);

struct OrdersFileTest : ::testing::Test {
  // Until it reads so: the thread tells the loop when it is done.
  void run_until(OrdersFile& file, std::string_view text) {
    loop.spawn(watch_file(loop, file, std::string(text)));
    loop.run();
  }
  static net::Task<void> watch_file(net::EpollLoop& loop, OrdersFile& file, std::string text) {
    while (file.read() != text) co_await loop.sleep_for(kMoment);
    loop.stop();
  }
  void run_until_said(std::string line) {
    loop.spawn(watch_log(loop, log, std::move(line)));
    loop.run();
  }
  static net::Task<void> watch_log(net::EpollLoop& loop, testing::SaidLog& log, std::string line) {
    while (log.count(line) == 0) co_await loop.sleep_for(kMoment);
    loop.stop();
  }
  testing::ScratchFolder scratch;
  std::shared_ptr<const store::Folder> folder = scratch.open();
  testing::SaidLog log;
  net::EpollLoop loop;
};

TEST_F(OrdersFileTest, TheNewestTextIsThereInTheEnd) {
  {
    OrdersFile file(loop, folder, log);
    EXPECT_EQ(file.read(), "");
    for (int i = 0; i < 20; ++i) file.write("text " + std::to_string(i));
    run_until(file, "text 19");
  }
  EXPECT_EQ(OrdersFile(loop, folder, log).read(), "text 19");
  EXPECT_TRUE(log.lines.empty());
}

TEST_F(OrdersFileTest, ADamagedOneStaysBeside) {
  std::ofstream(scratch.path() + "/orders") << "rubbish";
  OrdersFile file(loop, folder, log);
  EXPECT_EQ(file.read(), "");
  EXPECT_TRUE(scratch.has("orders.aside"));
  EXPECT_EQ(file.read(), "");
  EXPECT_EQ(
      log.lines,
      (std::vector<std::string>{"the journal of orders is damaged, nothing is gone on with"}));
}

TEST_F(OrdersFileTest, WhatWasOrderedLastIsThereAlthoughTheLoopDoesNotTurnAnyMore) {
  {
    OrdersFile file(loop, folder, log);
    file.write("one");
    file.write("two");
  }
  EXPECT_EQ(OrdersFile(loop, folder, log).read(), "two");
}

TEST_F(OrdersFileTest, WhatCouldNotBeWrittenIsTriedAgainAndToldOnce) {
  OrdersFile file(loop, folder, log, kMoment);
  scratch.remove();
  file.write("one");
  file.write("two");
  run_until_said("orders would not survive a restart");
  scratch.restore();
  run_until(file, "two");
  run_until_said("orders are written down again");
  EXPECT_EQ(log.count("orders would not survive a restart"), 1);
}

TEST_F(OrdersFileTest, WhatCouldNotBeWrittenIsTriedOnceMoreAtTheEnd) {
  {
    OrdersFile file(loop, folder, log, std::chrono::hours(1));
    scratch.remove();
    file.write("one");
    run_until_said("orders would not survive a restart");
    scratch.restore();
  }
  EXPECT_EQ(OrdersFile(loop, folder, log).read(), "one");
}

}  // namespace
}  // namespace drover::app
