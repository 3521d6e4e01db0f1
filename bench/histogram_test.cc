#include "histogram.h"

#include <gtest/gtest.h>

namespace drover::bench {
namespace {

TEST(Histogram, QuantilesAreExactToAHalfPercentAtEveryScale) {
  for (std::uint64_t scale = 1; scale < 10'000'000'000; scale *= 10) {
    Histogram histogram;
    for (std::uint64_t i = 1; i <= 1000; ++i) histogram.add(i * scale);
    const double unit = static_cast<double>(scale);
    EXPECT_NEAR(histogram.quantile(0.5), 500 * unit, 500 * unit * 0.005 + 1) << scale;
    EXPECT_NEAR(histogram.quantile(0.99), 990 * unit, 990 * unit * 0.005 + 1) << scale;
  }
}

TEST(Histogram, WhatIsLongerThanEverythingCountsAsTheLongest) {
  Histogram histogram;
  histogram.add(UINT64_MAX);
  EXPECT_GT(histogram.quantile(1.0), 1e12);
  EXPECT_EQ(histogram.count(), 1U);
}

TEST(Histogram, WithoutValuesThereIsNothing) { EXPECT_EQ(Histogram().quantile(0.5), 0); }

}  // namespace
}  // namespace drover::bench
