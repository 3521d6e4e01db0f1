#include "wire/keep_alive.h"

#include <gtest/gtest.h>

namespace drover::wire {
namespace {

using namespace std::chrono_literals;

TEST(KeepAlive, TextsAreDurationsOfGo) {
  EXPECT_EQ(keep_alive_of_text("5m"), 5min);
  EXPECT_EQ(keep_alive_of_text("1h30m"), 90min);
  EXPECT_EQ(keep_alive_of_text("1.5h"), 90min);
  EXPECT_EQ(keep_alive_of_text("500ms"), 500ms);
  EXPECT_EQ(keep_alive_of_text("0"), 0s);
  EXPECT_EQ(keep_alive_of_text("0s"), 0s);
  EXPECT_LT(*keep_alive_of_text("-1s"), 0s);
  EXPECT_GT(*keep_alive_of_text("999999999999h"), 24h * 365);
  for (const char* none : {"", "-", "5", "m", "5 m", "5x", "1h30", ".h", "1..5h", "-1"}) {
    EXPECT_FALSE(keep_alive_of_text(none)) << none;
  }
}

TEST(KeepAlive, NumbersAreSeconds) {
  EXPECT_EQ(keep_alive_of_number("300"), 5min);
  EXPECT_EQ(keep_alive_of_number("0"), 0s);
  EXPECT_EQ(keep_alive_of_number("0.5"), 500ms);
  EXPECT_LT(keep_alive_of_number("-1"), 0s);
  EXPECT_GT(keep_alive_of_number("1e30"), 24h * 365);
}

}  // namespace
}  // namespace drover::wire
