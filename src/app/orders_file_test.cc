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

struct Fixture : testing::Test {
  Fixture() {
    std::string name = "/tmp/drover-orders-XXXXXX";
    directory = ::mkdtemp(name.data());
  }
  ~Fixture() override { std::filesystem::remove_all(directory); }
  // Until it reads so: the thread tells the loop when it is done.
  void run_until(const OrdersFile& file, std::string_view text) {
    loop.spawn(watch(loop, file, std::string(text)));
    loop.run();
  }
  static net::Task<void> watch(net::EpollLoop& loop, const OrdersFile& file, std::string text) {
    while (file.read(1000) != text) co_await loop.sleep_for(std::chrono::milliseconds(1));
    loop.stop();
  }
  std::string directory;
  Said log;
  net::EpollLoop loop;
};
using OrdersFileTest = Fixture;

TEST_F(OrdersFileTest, TheNewestTextIsThereInTheEnd) {
  auto file = OrdersFile::open(loop, directory, log);
  EXPECT_EQ(file->read(1000), "");
  for (int i = 0; i < 20; ++i) file->write("text " + std::to_string(i));
  run_until(*file, "text 19");
  file.reset();
  EXPECT_EQ(OrdersFile::open(loop, directory, log)->read(1000), "text 19");
  EXPECT_TRUE(log.events.empty());
}

TEST_F(OrdersFileTest, ADamagedOneStaysBeside) {
  std::ofstream(directory + "/orders") << "rubbish";
  const auto file = OrdersFile::open(loop, directory, log);
  file->set_aside("it is rubbish");
  EXPECT_EQ(file->read(1000), "");
  EXPECT_TRUE(std::filesystem::exists(directory + "/orders.damaged"));
  EXPECT_EQ(log.events.size(), 1U);
}

TEST_F(OrdersFileTest, TwoDroversDoNotShareOne) {
  const auto file = OrdersFile::open(loop, directory, log);
  EXPECT_EQ(OrdersFile::open(loop, directory, log), nullptr);
  EXPECT_EQ(log.events, (std::vector<std::string>{"orders will not survive a restart"}));
}

}  // namespace
}  // namespace drover::app
