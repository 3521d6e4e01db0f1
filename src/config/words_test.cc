#include "config/words.h"

#include <gtest/gtest.h>

namespace drover::config {
namespace {

TEST(Words, QuoteKeepsPlainTextAndUtf8) {
  EXPECT_EQ(quote("gpu0"), "'gpu0'");
  EXPECT_EQ(quote("größe"), "'größe'");
}

TEST(Words, QuoteEscapesControlBytesAndBrokenUtf8) {
  EXPECT_EQ(quote("a\x1b[31m\n"), "'a\\x1b[31m\\x0a'");
  EXPECT_EQ(quote("\xff"), "'\\xff'");
  EXPECT_EQ(quote("\xc0\xaf"), "'\\xc0\\xaf'");
  EXPECT_EQ(quote("\xc2\x9b"), "'\\xc2\\x9b'");
  EXPECT_EQ(quote("\xed\xa0\x80"), "'\\xed\\xa0\\x80'");
}

TEST(Words, QuoteCutsLongText) {
  const std::string shown = quote(std::string(10'000, 'x'));
  EXPECT_LT(shown.size(), 80u);
  EXPECT_TRUE(shown.ends_with("…'"));
}

TEST(Words, PathsAreShownWhole) {
  const std::string path = "/" + std::string(300, 'x');
  EXPECT_EQ(quote_path(path), "'" + path + "'");
}

TEST(Words, NearestFindsSlips) {
  const std::vector<std::string_view> known = {"policy", "listen", "limits"};
  EXPECT_EQ(nearest("polcy", known), "policy");
  EXPECT_EQ(nearest("ploicy", known), "policy");
  EXPECT_EQ(nearest("limit", known), "limits");
}

TEST(Words, NearestKeepsQuietWhenNothingIsNear) {
  const std::vector<std::string_view> known = {"policy", "listen"};
  EXPECT_EQ(nearest("colour", known), std::nullopt);
  EXPECT_EQ(nearest("", known), std::nullopt);
  EXPECT_EQ(nearest(std::string(100'000, 'p'), known), std::nullopt);
}

TEST(Words, EitherReadsLikeASentence) {
  EXPECT_EQ(either(std::vector<std::string_view>{"a"}), "a");
  EXPECT_EQ(either(std::vector<std::string_view>{"a", "b"}), "a or b");
  EXPECT_EQ(either(std::vector<std::string_view>{"a", "b", "c"}), "a, b or c");
}

}  // namespace
}  // namespace drover::config
