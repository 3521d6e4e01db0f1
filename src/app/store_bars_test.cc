#include "app/store_bars.h"

#include <gtest/gtest.h>

namespace drover::app {
namespace {

std::string line(std::string_view digest, int total, int completed, std::string_view shares) {
  return R"({"status":"pulling","digest":")" + std::string(digest) + R"(","total":)" +
         std::to_string(total) + R"(,"completed":)" + std::to_string(completed) +
         std::string(shares) + "}";
}

std::string bar(int full) {
  return "[" + std::string(static_cast<std::size_t>(full), '#') +
         std::string(static_cast<std::size_t>(30 - full), '.') + "]";
}

TEST(StoreBars, EachStoreHasOneOverAllParts) {
  StoreBars bars("m");
  EXPECT_EQ(
      bars.take(line("a", 4'000'000, 1'000'000, R"(,"drover_stores":{"disk0":1000000,"b":0})")),
      "disk0  " + bar(15) + "  50 % of 2 MB\x1b[K\n" + "b      " + bar(0) +
          "   0 % of 2 MB\x1b[K\n");
  // The second part makes both longer; the first two lines are drawn over.
  EXPECT_EQ(
      bars.take(line("c", 4'000'000, 2'000'000, R"(,"drover_stores":{"disk0":0,"b":2000000})")),
      "\x1b[2Adisk0  " + bar(7) + "  25 % of 4 MB\x1b[K\n" + "b      " + bar(15) +
          "  50 % of 4 MB\x1b[K\n");
  EXPECT_EQ(
      bars.take(line("c", 4'000'000, 2'000'000, R"(,"drover_stores":{"disk0":0,"b":2000000})")),
      "");
}

TEST(StoreBars, ASingleStoreIsCalledAsTheModel) {
  StoreBars bars("qwen3:4b");
  EXPECT_EQ(bars.take(line("a", 2'000'000, 2'000'000, "")),
            "qwen3:4b  " + bar(30) + " 100 % of 2 MB\x1b[K\n");
}

TEST(StoreBars, OtherLinesDrawNothing) {
  StoreBars bars("m");
  for (const char* other : {"", "x", R"({"status":"pulling manifest"})", R"({"error":"x"})",
                            R"({"status":"s","digest":"d","total":0})"}) {
    EXPECT_EQ(bars.take(other), "") << other;
  }
  (void)bars.take(line("a", 2, 1, R"(,"drover_stores":{"a":1,"b":0})"));
  EXPECT_EQ(bars.take(line("a", 2, 1, R"(,"drover_stores":{"a":1})")), "");
}

}  // namespace
}  // namespace drover::app
