#include "app/orders_file.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "net/epoll_loop.h"

namespace drover::app {
namespace {

class Said final : public Log {
 public:
  void write(LogLevel, std::string_view event, std::span<const LogField>) override {
    events.emplace_back(event);
  }
  std::vector<std::string> events;
};

struct OrdersFileTest : testing::Test {
  OrdersFileTest() {
    std::string name = "/tmp/drover-orders-XXXXXX";
    path = ::mkdtemp(name.data());
    folder = std::make_shared<const store::Folder>(std::move(store::Folder::open(path)).value());
  }
  ~OrdersFileTest() override { std::filesystem::remove_all(path); }
  // Until it reads so: the thread tells the loop when it is done.
  void run_until(OrdersFile& file, std::string_view text) {
    loop.spawn(watch(loop, file, std::string(text)));
    loop.run();
  }
  static net::Task<void> watch(net::EpollLoop& loop, OrdersFile& file, std::string text) {
    while (file.read() != text) co_await loop.sleep_for(std::chrono::milliseconds(1));
    loop.stop();
  }
  std::string path;
  std::shared_ptr<const store::Folder> folder;
  Said log;
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
  EXPECT_TRUE(log.events.empty());
}

TEST_F(OrdersFileTest, ADamagedOneStaysBeside) {
  std::ofstream(path + "/orders") << "rubbish";
  OrdersFile file(loop, folder, log);
  EXPECT_EQ(file.read(), "");
  EXPECT_TRUE(std::filesystem::exists(path + "/orders.aside"));
  EXPECT_EQ(file.read(), "");
  EXPECT_EQ(
      log.events,
      (std::vector<std::string>{"the journal of orders is damaged, nothing is gone on with"}));
}

TEST_F(OrdersFileTest, ADiskThatTakesNothingIsToldOnce) {
  OrdersFile file(loop, folder, log);
  std::filesystem::remove_all(path);
  file.write("one");
  file.write("two");
  loop.spawn([](net::EpollLoop& loop, Said& log) -> net::Task<void> {
    while (log.events.empty()) co_await loop.sleep_for(std::chrono::milliseconds(1));
    loop.stop();
  }(loop, log));
  loop.run();
  std::filesystem::create_directory(path);
  file.write("three");
  run_until(file, "three");
  EXPECT_EQ(log.events, (std::vector<std::string>{"orders would not survive a restart"}));
}

}  // namespace
}  // namespace drover::app
