#include "base/flat_map.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "base/ids.h"
#include "base/rng.h"

namespace drover {
namespace {

TEST(FlatMap, FindsWhatWasPutAndNothingElse) {
  FlatMap<LeaseId, int> map;
  EXPECT_EQ(map.find(LeaseId{1}), nullptr);
  EXPECT_FALSE(map.erase(LeaseId{1}));
  map.put(LeaseId{1}, 10);
  map.put(LeaseId{9}, 90);
  ASSERT_NE(map.find(LeaseId{9}), nullptr);
  EXPECT_EQ(*map.find(LeaseId{9}), 90);
  EXPECT_FALSE(map.contains(LeaseId{17}));
  EXPECT_TRUE(map.erase(LeaseId{1}));
  EXPECT_EQ(*map.find(LeaseId{9}), 90);
  EXPECT_EQ(map.size(), 1u);
}

TEST(FlatMap, AValueThatLeavesIsDestroyedAtOnce) {
  FlatMap<LeaseId, std::shared_ptr<int>> map;
  auto value = std::make_shared<int>(1);
  map.put(LeaseId{3}, value);
  EXPECT_EQ(value.use_count(), 2);
  map.erase(LeaseId{3});
  EXPECT_EQ(value.use_count(), 1);
  map.put(LeaseId{4}, value);
  map.clear();
  EXPECT_EQ(value.use_count(), 1);
}

TEST(FlatMap, TheLastEntryTakesTheGapAndIsFoundThere) {
  FlatMap<LeaseId, std::shared_ptr<int>> map;
  auto gone = std::make_shared<int>(1);
  auto last = std::make_shared<int>(3);
  map.put(LeaseId{1}, gone);
  map.put(LeaseId{2}, std::make_shared<int>(2));
  map.put(LeaseId{3}, last);
  map.erase(LeaseId{1});
  EXPECT_EQ(gone.use_count(), 1);
  EXPECT_EQ(last.use_count(), 2);
  ASSERT_NE(map.find(LeaseId{3}), nullptr);
  EXPECT_EQ(*map.find(LeaseId{3}), last);
  map.erase(LeaseId{3});
  EXPECT_EQ(last.use_count(), 1);
  ASSERT_NE(map.find(LeaseId{2}), nullptr);
  EXPECT_EQ(**map.find(LeaseId{2}), 2);
}

TEST(FlatMap, IsOfUseAfterItWasCleared) {
  FlatMap<LeaseId, int> map;
  for (std::uint64_t i = 1; i <= 100; ++i) map.put(LeaseId{i}, 1);
  map.clear();
  EXPECT_FALSE(map.contains(LeaseId{7}));
  map.put(LeaseId{7}, 70);
  ASSERT_NE(map.find(LeaseId{7}), nullptr);
  EXPECT_EQ(*map.find(LeaseId{7}), 70);
  EXPECT_EQ(map.size(), 1u);
}

// Few keys, so that places are fought for, and wrap around the end.
TEST(FlatMap, BehavesAsAnyMapThroughALongLife) {
  for (const std::uint64_t keys : {10U, 100U, 1000U}) {
    Rng rng(keys);
    FlatMap<LeaseId, std::uint64_t> map;
    std::map<LeaseId, std::uint64_t> model;
    for (std::uint64_t step = 0; step < 20'000; ++step) {
      const LeaseId key{1 + rng.below(keys) * (1 + rng.below(3))};
      const bool there = model.contains(key);
      ASSERT_EQ(map.contains(key), there);
      if (there && rng.below(3) > 0) {
        ASSERT_TRUE(map.erase(key));
        model.erase(key);
      } else if (!there) {
        map.put(key, step);
        model.emplace(key, step);
      }
    }
    std::map<LeaseId, std::uint64_t> seen;
    map.for_each([&seen](LeaseId key, std::uint64_t value) { seen.emplace(key, value); });
    EXPECT_EQ(seen, model);
    EXPECT_EQ(map.size(), model.size());
  }
}

}  // namespace
}  // namespace drover
