#include "config/values.h"

#include <gtest/gtest.h>

namespace drover::config {
namespace {

using namespace std::chrono_literals;

TEST(Values, DurationsHaveOneUnit) {
  EXPECT_EQ(*parse_duration("500ms"), 500ms);
  EXPECT_EQ(*parse_duration("2s"), 2s);
  EXPECT_EQ(*parse_duration("10m"), 10min);
  EXPECT_EQ(*parse_duration("24h"), 24h);
  EXPECT_EQ(*parse_duration("0s"), 0s);
}

TEST(Values, DurationsOfOtherShapesAreRefused) {
  for (const char* text : {"", "2", "s", "2 s", "-2s", "+2s", "1.5s", "2sec", "1m30s", "2S", "0x2s",
                           "9999999999h", "99999999999999999999s"}) {
    EXPECT_FALSE(parse_duration(text).ok()) << text;
  }
  EXPECT_EQ(parse_duration("30").error().message,
            "must be a time with a unit (ms, s, m or h), such as 2s, not '30'");
}

TEST(Values, SizesCountInThousandsOrIn1024s) {
  EXPECT_EQ(*parse_size("512"), 512u);
  EXPECT_EQ(*parse_size("512B"), 512u);
  EXPECT_EQ(*parse_size("64KiB"), 65536u);
  EXPECT_EQ(*parse_size("100MB"), 100'000'000u);
  EXPECT_EQ(*parse_size("1MiB"), 1048576u);
  EXPECT_EQ(*parse_size("2GiB"), 2147483648u);
}

TEST(Values, SizesOfOtherShapesAreRefused) {
  for (const char* text : {"", "KiB", "1 KiB", "1kib", "1k", "-1", "1.5MiB", "1TiB",
                           "99999999999999999999", "18446744073709551615GiB"}) {
    EXPECT_FALSE(parse_size(text).ok()) << text;
  }
}

TEST(Values, CountsAreDigitsOnly) {
  EXPECT_EQ(*parse_count("42"), 42u);
  for (const char* text : {"", "-1", "+1", "1e3", "0x10", "1.0", " 1", "99999999999999999999"}) {
    EXPECT_FALSE(parse_count(text).ok()) << text;
  }
}

TEST(Values, SharesAreDecimalNumbers) {
  EXPECT_DOUBLE_EQ(*parse_share("0.2"), 0.2);
  EXPECT_DOUBLE_EQ(*parse_share("1"), 1.0);
  for (const char* text : {"", "nan", "inf", "-0.1", "20%", "1e-1", ".", "0.2.1"}) {
    EXPECT_FALSE(parse_share(text).ok()) << text;
  }
}

TEST(Values, ShownShortlyAndExactly) {
  EXPECT_EQ(show_duration(120s), "2m");
  EXPECT_EQ(show_duration(90s), "90s");
  EXPECT_EQ(show_duration(0s), "0s");
  EXPECT_EQ(show_size(65536), "64KiB");
  EXPECT_EQ(show_size(100'000'000), "100MB");
  EXPECT_EQ(show_size(0), "0B");
}

}  // namespace
}  // namespace drover::config
