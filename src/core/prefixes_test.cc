// Which instance has the beginning of a prompt.

#include "core/prefixes.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"

namespace drover::core {
namespace {

constexpr Prefixes::Desk kHere{BackendId{0}, 7, 0};
constexpr Prefixes::Desk kThere{BackendId{1}, 7, 0};
constexpr double kRoom = 100'000;  // tokens

// Ends at multiples of 400 bytes, that is 100 tokens each.
Beginnings said(std::initializer_list<std::uint64_t> messages) {
  Beginnings all;
  std::uint64_t bytes = 0;
  for (const std::uint64_t message : messages) all.add({message, bytes += 400});
  return all;
}

void answered(Prefixes& prefixes, const Prefixes::Desk& desk, const Beginnings& prompt,
              double room = kRoom) {
  prefixes.remember(desk, prompt, 0.25, 50, room);
}

TEST(Prefixes, AConversationIsWhereItsLastAnswerWas) {
  Prefixes prefixes;
  answered(prefixes, kHere, said({1, 2}));
  // The question, its answer, the next question.
  const Prefixes::Found found = prefixes.find(7, said({1, 2, 3, 4}));
  EXPECT_EQ(found.bytes_at(BackendId{0}, 0), 1200U) << "the answer is there, too";
  EXPECT_EQ(found.bytes_at(BackendId{1}, 0), 0U);
}

TEST(Prefixes, WhatManyBeginWithIsWhereAnyOfThemWas) {
  Prefixes prefixes;
  answered(prefixes, kHere, said({1, 2}));
  answered(prefixes, kThere, said({1, 5}));
  const Prefixes::Found found = prefixes.find(7, said({1, 9}));
  EXPECT_EQ(found.bytes_at(BackendId{0}, 0), 400U);
  EXPECT_EQ(found.bytes_at(BackendId{1}, 0), 400U);
  EXPECT_TRUE(prefixes.find(7, said({8, 9})).parts().empty()) << "another beginning";
  EXPECT_TRUE(prefixes.find(6, said({1, 2})).parts().empty()) << "another model";
}

TEST(Prefixes, AnUnloadTakesAllOfIt) {
  Prefixes prefixes;
  answered(prefixes, kHere, said({1, 2}));
  EXPECT_EQ(prefixes.find(7, said({1, 2})).bytes_at(BackendId{0}, 1), 0U);
  Prefixes::Desk again = kHere;
  again.epoch = 1;
  answered(prefixes, again, said({1, 3}));
  const Prefixes::Found found = prefixes.find(7, said({1, 2}));
  EXPECT_EQ(found.bytes_at(BackendId{0}, 1), 400U) << "what was read since";
}

TEST(Prefixes, WhatWasUsedLongestAgoIsForgottenFirst) {
  Prefixes prefixes;
  answered(prefixes, kHere, said({1, 2}), 600);
  answered(prefixes, kHere, said({1, 3}), 600);
  answered(prefixes, kHere, said({1, 2}), 600);
  answered(prefixes, kHere, said({1, 4}), 600);
  answered(prefixes, kHere, said({1, 5}), 600);
  EXPECT_EQ(prefixes.find(7, said({1, 3})).bytes_at(BackendId{0}, 0), 400U) << "only its beginning";
  EXPECT_EQ(prefixes.find(7, said({1, 5})).bytes_at(BackendId{0}, 0), 800U);
}

TEST(Prefixes, OfMoreThanFourPlacesTheFirstForgets) {
  Prefixes prefixes;
  for (std::uint32_t i = 0; i < 5; ++i) answered(prefixes, {BackendId{i}, 7, 0}, said({1}));
  const Prefixes::Found found = prefixes.find(7, said({1}));
  EXPECT_EQ(found.bytes_at(BackendId{0}, 0), 0U);
  EXPECT_EQ(found.bytes_at(BackendId{4}, 0), 400U);
}

TEST(Prefixes, IsBounded) {
  Prefixes prefixes;
  Rng rng(1);
  std::size_t most = 0;
  for (std::uint32_t i = 0; i < 60'000; ++i) {
    const Prefixes::Desk desk{BackendId{i % 16}, i % 5, i / 50'000};
    answered(prefixes, desk, said({rng.next(), rng.next(), rng.next()}), 1e9);
    most = std::max(most, prefixes.size());
  }
  EXPECT_EQ(most, Prefixes::kMostEnds);
}

TEST(Beginnings, OfALongConversationTheFirstAndTheLatestEndsAreKept) {
  Beginnings all;
  for (std::uint64_t i = 1; i <= 20; ++i) all.add({i, i * 10});
  const auto ends = all.all();
  ASSERT_EQ(ends.size(), Beginnings::kMost);
  EXPECT_EQ(ends[0].hash, 1U);
  EXPECT_EQ(ends[1].hash, 2U);
  EXPECT_EQ(ends[2].hash, 15U);
  EXPECT_EQ(ends.back().hash, 20U);
}

}  // namespace
}  // namespace drover::core
