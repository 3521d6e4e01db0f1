#include "wire/rfc3339.h"

#include <gtest/gtest.h>

namespace drover::wire {
namespace {

TEST(Rfc3339, ReadsOffsetsAndFractions) {
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00Z"), (CivilMoment{0, 0}));
  EXPECT_EQ(parse_rfc3339("2025-05-10T08:06:48.639712648-07:00"),
            (CivilMoment{1746889608, 639712648}));
  EXPECT_EQ(parse_rfc3339("2025-05-10t15:06:48.6z"), (CivilMoment{1746889608, 600000000}));
  EXPECT_EQ(parse_rfc3339("2025-05-10T20:36:48.0000000009+05:30"), (CivilMoment{1746889608, 0}));
  EXPECT_EQ(parse_rfc3339("0001-01-01T00:00:00Z"), (CivilMoment{-62135596800, 0}));
  EXPECT_EQ(parse_rfc3339("2318-09-09T00:00:00Z")->seconds, 11003472000);
  EXPECT_TRUE(parse_rfc3339("2016-12-31T23:59:60Z"));
}

TEST(Rfc3339, RefusesWhatIsNotATime) {
  for (const char* text :
       {"", "now", "2025-05-10", "2025-05-10T08:06:48", "2025-02-30T00:00:00Z",
        "2025-13-01T00:00:00Z", "2025-05-10T24:00:00Z", "2025-05-10T08:60:00Z",
        "2025-05-10T08:06:48.Z", "2025-05-10T08:06:48+0700", "2025-05-10T08:06:48Zx",
        "+025-05-10T08:06:48Z", "2025-05-10T08:06:48-"}) {
    EXPECT_FALSE(parse_rfc3339(text)) << text;
  }
}

}  // namespace
}  // namespace drover::wire
