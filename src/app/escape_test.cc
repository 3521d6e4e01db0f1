#include "app/escape.h"

#include <gtest/gtest.h>

namespace drover::app {
namespace {

TEST(Escape, JsonStringsKeepUtf8AndEscapeTheRest) {
  EXPECT_EQ(json_quoted("größe \"x\" \\ \n"), "\"größe \\\"x\\\" \\\\ \\u000a\"");
  EXPECT_EQ(json_quoted("\x1b[31m\x7f"), "\"\\u001b[31m\\u007f\"");
  EXPECT_EQ(json_quoted("\xc2\x9b"), "\"\\u009b\"");
  EXPECT_EQ(json_quoted("a\xff"
                        "b"),
            "\"a\\ufffdb\"");
  EXPECT_EQ(json_quoted("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\"");
  EXPECT_EQ(json_quoted("\xf0\x9f\x90\x91"), "\"\xf0\x9f\x90\x91\"");
}

TEST(Escape, TerminalWordsHoldNoControlCharacter) {
  EXPECT_EQ(text_words("a\x1b[2J\r\nb\tc"), "a\\x1b[2J\\x0d\\nb\\tc");
  EXPECT_EQ(text_words("\xc2\x9b"
                       "31m"),
            "\\xc2\\x9b31m");
  EXPECT_EQ(text_words("\xff"), "\\xff");
}

TEST(Escape, ValuesAreQuotedWhenTheyCouldBeMisread) {
  EXPECT_EQ(text_value("gpu0"), "gpu0");
  EXPECT_EQ(text_value(""), "\"\"");
  EXPECT_EQ(text_value("two words"), "\"two words\"");
  EXPECT_EQ(text_value("a=b"), "\"a=b\"");
  EXPECT_EQ(text_value("say \"x\""), "\"say \\\"x\\\"\"");
  EXPECT_EQ(text_value("a\nlevel=error"), "\"a\\nlevel=error\"");
}

TEST(Escape, LongTextIsCut) {
  EXPECT_LT(json_quoted(std::string(100'000, 'x')).size(), kLongestValue + 10);
  EXPECT_LT(text_words(std::string(100'000, 'x')).size(), kLongestValue + 10);
}

}  // namespace
}  // namespace drover::app
