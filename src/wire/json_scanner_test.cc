#include "wire/json_scanner.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <string>
#include <vector>

namespace drover::wire {
namespace {

using Event = JsonScanner::Event;

// Everything it tells about `text`, fed in pieces of `step` bytes, as one line.
std::string transcript(std::string_view text, std::size_t step, JsonScanner::Options options = {}) {
  JsonScanner scanner(options);
  std::string out;
  while (!text.empty()) {
    std::string_view piece = text.substr(0, step);
    text.remove_prefix(piece.size());
    Event event = Event::kMore;
    while ((event = scanner.next(piece)) != Event::kMore) {
      out += std::to_string(static_cast<int>(event)) + '/' + std::to_string(scanner.depth());
      if (event == Event::kBad) {
        return out + scanner.what() + " at " + std::to_string(scanner.offset());
      }
      out += "=" + std::string(scanner.text()) + "@" + std::to_string(scanner.token_offset()) + ' ';
    }
  }
  return out + (scanner.complete() ? "complete" : "cut");
}

bool accepts(std::string_view text) {
  JsonScanner scanner({});
  Event event = Event::kMore;
  while ((event = scanner.next(text)) != Event::kMore) {
    if (event == Event::kBad) return false;
  }
  return scanner.complete();
}

const std::vector<std::string> kGood = {"{}",
                                        "[]",
                                        " \t\r\n{ } \n",
                                        "0",
                                        "-0",
                                        "1",
                                        "-1",
                                        "10",
                                        "1.5",
                                        "-1.5e3",
                                        "1E+2",
                                        "1e-2",
                                        "0e0",
                                        "0.0",
                                        "0e99999",
                                        "1e308",
                                        "1.7976931348623157e308",
                                        "179769313486231570e291",
                                        "1e-400",
                                        "0.000000000000000000000000000000000000001e300",
                                        "123456789012345678",
                                        "true",
                                        "false",
                                        "null",
                                        R"("")",
                                        R"("a")",
                                        R"("\"\\\/\b\f\n\r\t")",
                                        R"("\u0041\u00e9\uFFFF")",
                                        R"("\ud83d\ude00")",
                                        "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"",
                                        "\"\x7F\"",
                                        R"({"a":1,"b":[1,2,{"c":null}]})",
                                        R"([[[]],{},"",0,true,false,null])",
                                        "[1 , 2]",
                                        R"({"" : ""})",
                                        "\"\xEF\xBF\xBF\"",
                                        "\"\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF\""};

const std::vector<std::string> kWrong = {"",
                                         " ",
                                         "{",
                                         "[",
                                         "{]",
                                         "[}",
                                         "}",
                                         "]",
                                         "[1,]",
                                         "[,1]",
                                         "[1 2]",
                                         "{,}",
                                         R"({"a"})",
                                         R"({"a":})",
                                         R"({"a":1,})",
                                         R"({"a" 1})",
                                         R"({a:1})",
                                         R"({'a':1})",
                                         R"({1:1})",
                                         R"({"a":1 "b"})",
                                         "01",
                                         "-",
                                         "-a",
                                         "+1",
                                         ".5",
                                         "1.",
                                         "1.e1",
                                         "1e",
                                         "1e+",
                                         "1ee1",
                                         "1.2.3",
                                         "--1",
                                         "1-",
                                         "-01",
                                         "0x10",
                                         "Infinity",
                                         "NaN",
                                         "nul",
                                         "nulll",
                                         "True",
                                         "tru",
                                         "truefalse",
                                         "1e309",
                                         "-1e400",
                                         "1.7976931348623159e308",
                                         "17976931348623159e292",
                                         R"("a)",
                                         "\"\x01\"",
                                         "\"\n\"",
                                         std::string("\"\0\"", 3),
                                         R"("\x")",
                                         R"("\u12")",
                                         R"("\u12g4")",
                                         "\"\x80\"",
                                         "\"\xC0\x80\"",
                                         "\"\xC3\"",
                                         "\"\xC3(\"",
                                         "\"\xE0\x80\x80\"",
                                         "\"\xED\xA0\x80\"",
                                         "\"\xF4\x90\x80\x80\"",
                                         "\"\xF5\x80\x80\x80\"",
                                         "\"\xF0\x80\x80\x80\"",
                                         "\"\xE2\x82\"",
                                         "\xEF\xBB\xBF{}",
                                         "{}{}",
                                         "{} x",
                                         "[] []",
                                         "/* */ {}",
                                         "{\"a\":1}\v",
                                         std::string("{}\0", 3),
                                         "\"a\" \"b\"",
                                         "\\u007b}"};

TEST(JsonScanner, TakesWhatTheGrammarAllows) {
  for (const auto& text : kGood) EXPECT_TRUE(accepts(text)) << text;
}

TEST(JsonScanner, RefusesWhatTheGrammarDoesNotAllow) {
  for (const auto& text : kWrong) EXPECT_FALSE(accepts(text)) << text;
}

// The other parser refuses these; Go and Ollama read each lone half as U+FFFD.
TEST(JsonScanner, ReadsHalfASurrogatePairAsTheReplacementCharacter) {
  const std::pair<std::string_view, std::string_view> rows[] = {
      {R"("\ud800")", "\uFFFD"},
      {R"("\ud800a")", "\uFFFDa"},
      {R"("\ud800\n")", "\uFFFD\n"},
      {R"("\ud800\u0041")", "\uFFFDA"},
      {R"("\udc00")", "\uFFFD"},
      {R"("\ud800\ud800")", "\uFFFD\uFFFD"},
      {R"("\udc00\ud800")", "\uFFFD\uFFFD"},
      {R"("\ud83d\ud83d\ude00")", "\uFFFD\U0001F600"},
  };
  for (const auto& [text, read] : rows) {
    JsonScanner scanner({});
    std::string_view rest = text;
    EXPECT_EQ(scanner.next(rest), JsonScanner::Event::kString) << text;
    EXPECT_EQ(scanner.text(), read) << text;
    EXPECT_TRUE(scanner.text_replaced());
    EXPECT_FALSE(accepts("{" + std::string(text) + ":1}")) << "a key must be what it seems";
  }
}

TEST(JsonScanner, AgreesWithAnotherParserOnBothTables) {
  simdjson::dom::parser parser;
  for (const auto& text : kGood) {
    EXPECT_FALSE(parser.parse(text).error()) << text;
  }
  for (const auto& text : kWrong) {
    EXPECT_TRUE(parser.parse(text).error()) << text;
  }
}

TEST(JsonScanner, TellsTheSameHoweverTheInputIsCut) {
  for (const auto* table : {&kGood, &kWrong}) {
    for (const auto& text : *table) {
      const std::string whole = transcript(text + " ", text.size() + 1);
      for (std::size_t step = 1; step <= 5; ++step) {
        EXPECT_EQ(transcript(text + " ", step), whole) << text << " in steps of " << step;
      }
    }
  }
}

TEST(JsonScanner, ReportsOnlyNearTheTop) {
  const std::string deep = R"({"a":{"b":{"c":1}},"d":[[2]]})";
  JsonScanner scanner({.report_depth = 1});
  std::string_view rest = deep;
  std::vector<std::string> keys;
  Event event = Event::kMore;
  while ((event = scanner.next(rest)) != Event::kMore) {
    EXPECT_LE(scanner.depth(), 1U);
    if (event == Event::kKey) keys.emplace_back(scanner.text());
  }
  EXPECT_EQ(keys, (std::vector<std::string>{"a", "d"}));
  EXPECT_TRUE(scanner.complete());
}

TEST(JsonScanner, KeepsAsMuchTextAsItWasTold) {
  JsonScanner scanner({.max_text = 4});
  std::string_view rest = R"("abcd\u0065f")";
  EXPECT_EQ(scanner.next(rest), Event::kString);
  EXPECT_EQ(scanner.text(), "abcd");
  EXPECT_TRUE(scanner.text_cut());
  EXPECT_FALSE(scanner.text_plain());
}

TEST(JsonScanner, AllowsTheDepthItWasToldAndNotOneMore) {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_TRUE(accepts(nested(128)));
  EXPECT_FALSE(accepts(nested(129)));
  EXPECT_FALSE(accepts(nested(10'000)));
}

TEST(JsonScanner, NamesThePlaceOfTheFirstWrongByte) {
  EXPECT_NE(transcript("{\"a\":1,}", 8).find("a key must come here at 7"), std::string::npos);
  EXPECT_NE(transcript("[\"ab\xC3(\"]", 3).find("invalid UTF-8 at 5"), std::string::npos);
}

TEST(JsonScanner, StaysBadOnceItIsBad) {
  JsonScanner scanner({});
  std::string_view rest = "}";
  EXPECT_EQ(scanner.next(rest), Event::kBad);
  rest = "{}";
  EXPECT_EQ(scanner.next(rest), Event::kBad);
  scanner.reset();
  EXPECT_EQ(scanner.next(rest), Event::kBeginObject);
}

TEST(JsonScanner, FindsSpecialBytesAtEveryPlaceOfALongString) {
  for (std::size_t size = 0; size < 150; ++size) {
    for (const std::string special : {"\"", "\\n\"", "\xC3\xA9\""}) {
      const std::string text = '"' + std::string(size, 'x') + special;
      EXPECT_TRUE(accepts(text)) << size;
      EXPECT_FALSE(accepts(text.substr(0, text.size() - 1))) << size;
    }
    EXPECT_FALSE(accepts('"' + std::string(size, 'x') + "\x1F\"")) << size;
  }
}

TEST(WholeNumber, IsZeroForWhatIsNotOne) {
  EXPECT_EQ(whole_number("18446744073709551615"), 18446744073709551615ULL);
  for (const char* text : {"18446744073709551616", "-1", "1.5", "1e3", "", "x"}) {
    EXPECT_EQ(whole_number(text), 0U) << text;
  }
}

}  // namespace
}  // namespace drover::wire
