#include "engine/finished.h"

#include <gtest/gtest.h>

#include <string>

namespace drover::engine {
namespace {

RequestRecord finished(std::string id, std::string why = "round_robin chose gpu0") {
  RequestRecord record;
  record.id = std::move(id);
  record.backend = "gpu0";
  record.why = std::move(why);
  return record;
}

TEST(FinishedRequests, OneIsFoundByItsIdWithAllThatBecameOfIt) {
  FinishedRequests requests;
  EXPECT_FALSE(requests.find("a"));
  requests.keep(finished("a", "one"));
  requests.keep(finished("b", "two"));
  ASSERT_TRUE(requests.find("a"));
  EXPECT_EQ(requests.find("a")->id, "a");
  EXPECT_EQ(requests.find("a")->backend, "gpu0");
  EXPECT_EQ(requests.find("a")->why, "one");
  EXPECT_EQ(requests.find("b")->why, "two");
  EXPECT_FALSE(requests.find("c"));
  EXPECT_FALSE(requests.find(""));
}

TEST(FinishedRequests, TheNewestTakesThePlaceOfTheOldest) {
  FinishedRequests requests;
  for (std::size_t i = 0; i < FinishedRequests::kMost + 2; ++i) {
    requests.keep(finished(std::to_string(i)));
  }
  EXPECT_EQ(requests.size(), FinishedRequests::kMost);
  EXPECT_FALSE(requests.find("0"));
  EXPECT_FALSE(requests.find("1"));
  ASSERT_TRUE(requests.find("2"));
  EXPECT_TRUE(requests.find(std::to_string(FinishedRequests::kMost + 1)));
}

TEST(FinishedRequests, OfSeveralWithOneIdTheNewestIsFound) {
  FinishedRequests requests;
  requests.keep(finished("same", "first"));
  requests.keep(finished("same", "second"));
  EXPECT_EQ(requests.find("same")->why, "second");
}

TEST(FinishedRequests, LongTextsPushOutMoreThanOneAndTheirSumIsBounded) {
  FinishedRequests requests;
  // Of unlike lengths, so that each round ends elsewhere, and each with words of its own.
  const auto words = [](std::size_t i) {
    return std::to_string(i) + std::string(FinishedRequests::kLongestText - 100 - i % 89, 'x');
  };
  const std::size_t fit = FinishedRequests::kTextBytes / FinishedRequests::kLongestText;
  for (std::size_t i = 0; i < 20 * fit; ++i) {
    requests.keep(finished(std::to_string(i), words(i)));
    if (i < 4 * fit) continue;
    EXPECT_LE(requests.size(), fit + 2);
    ASSERT_GT(requests.size(), fit * 8 / 10);
    const std::size_t oldest = i + 1 - requests.size();
    EXPECT_FALSE(requests.find(std::to_string(oldest - 1))) << i;
    for (std::size_t kept = oldest; kept <= i; ++kept) {
      ASSERT_TRUE(requests.find(std::to_string(kept))) << kept << " after " << i;
      EXPECT_EQ(requests.find(std::to_string(kept))->why, words(kept)) << i;
    }
  }
  // When the long ones are gone there is room for as many as ever: nothing was counted twice.
  for (std::size_t i = 0; i < 2 * FinishedRequests::kMost; ++i) requests.keep(finished("short"));
  EXPECT_EQ(requests.size(), FinishedRequests::kMost);
}

TEST(FinishedRequests, AnEndlessTextIsCutBetweenTwoCharacters) {
  FinishedRequests requests;
  std::string umlauts = "x";
  while (umlauts.size() < 2 * FinishedRequests::kTextBytes) umlauts += "ä";
  requests.keep(finished("a", umlauts));
  ASSERT_TRUE(requests.find("a"));
  const std::string why = requests.find("a")->why;
  EXPECT_LE(why.size(), FinishedRequests::kLongestText + 4);
  EXPECT_TRUE(why.ends_with("ä…"));
}

TEST(FinishedRequests, WhatDroverAnsweredWellByItselfIsNotKept) {
  FinishedRequests requests;
  RequestRecord own = finished("own");
  own.backend.clear();
  requests.keep(own);
  EXPECT_EQ(requests.size(), 0U);
  RequestRecord refused = finished("refused");
  refused.backend.clear();
  refused.outcome = Outcome::kRefused;
  requests.keep(refused);
  EXPECT_TRUE(requests.find("refused"));
}

}  // namespace
}  // namespace drover::engine
