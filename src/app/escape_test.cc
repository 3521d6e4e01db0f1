#include "app/escape.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

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

TEST(Escape, OddBytesAreFoundAtEveryPlaceOfEveryLength) {
  const std::pair<char, std::string> odd[] = {
      {'"', "\\\""}, {'\\', "\\\\"}, {'\n', "\\u000a"}, {'\x7f', "\\u007f"}, {'\xff', "\\ufffd"}};
  for (std::size_t length = 0; length < 50; ++length) {
    const std::string plain(length, 'x');
    EXPECT_EQ(json_quoted(plain), '"' + plain + '"');
    for (std::size_t at = 0; at < length; ++at) {
      for (const auto& [byte, escaped] : odd) {
        std::string text = plain;
        text[at] = byte;
        const std::string wanted = '"' + plain.substr(0, at) + escaped + plain.substr(at + 1) + '"';
        std::string put(quoted_bound(text), '\0');
        char* const end = put_json_quoted(put.data(), text);
        EXPECT_EQ(json_quoted(text), wanted);
        EXPECT_EQ(put.substr(0, static_cast<std::size_t>(end - put.data())), wanted);
      }
    }
  }
}

TEST(Escape, NothingGrowsBeyondItsBound) {
  for (const std::size_t length : {0U, 1U, 2047U, 2048U, 2049U, 5000U}) {
    for (const char byte : {'x', '"', '\n', '\x01', '\x7f', '\xc2', '\xff'}) {
      const std::string text(length, byte);
      EXPECT_LE(json_quoted(text).size(), quoted_bound(text));
      EXPECT_LE(text_value(text).size(), quoted_bound(text));
    }
  }
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
