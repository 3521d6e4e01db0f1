#include "wire/dialect.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <string>

namespace drover::wire {
namespace {

TEST(ErrorBody, LooksLikeOllamasOwn) {
  EXPECT_EQ(error_body(Dialect::kNative, 404, "model 'x' not found", "r"),
            R"({"error":"model 'x' not found"})");
  EXPECT_EQ(error_body(Dialect::kOpenAi, 404, "model 'x' not found", "r"),
            R"({"error":{"message":"model 'x' not found","type":"not_found_error","param":null,)"
            R"("code":null}})");
  EXPECT_EQ(error_body(Dialect::kAnthropic, 404, "model 'x' not found", "req_1"),
            R"({"type":"error","error":{"type":"not_found_error","message":"model 'x' not found"},)"
            R"("request_id":"req_1"})");
}

TEST(ErrorBody, NamesTheTypeByTheStatus) {
  const auto has = [](Dialect dialect, int status, std::string_view type) {
    return error_body(dialect, status, "m", "r").find('"' + std::string(type) + '"') !=
           std::string::npos;
  };
  EXPECT_TRUE(has(Dialect::kOpenAi, 400, "invalid_request_error"));
  EXPECT_TRUE(has(Dialect::kOpenAi, 503, "api_error"));
  EXPECT_TRUE(has(Dialect::kOpenAi, 429, "api_error"));
  EXPECT_TRUE(has(Dialect::kAnthropic, 400, "invalid_request_error"));
  EXPECT_TRUE(has(Dialect::kAnthropic, 401, "authentication_error"));
  EXPECT_TRUE(has(Dialect::kAnthropic, 403, "permission_error"));
  EXPECT_TRUE(has(Dialect::kAnthropic, 429, "rate_limit_error"));
  EXPECT_TRUE(has(Dialect::kAnthropic, 503, "overloaded_error"));
  EXPECT_TRUE(has(Dialect::kAnthropic, 529, "overloaded_error"));
  EXPECT_TRUE(has(Dialect::kAnthropic, 502, "api_error"));
}

TEST(ErrorBody, LeavesOutARequestIdThatIsNotKnown) {
  EXPECT_EQ(error_body(Dialect::kAnthropic, 500, "m", ""),
            R"({"type":"error","error":{"type":"api_error","message":"m"}})");
}

TEST(ErrorRecord, IsFramedForItsStream) {
  EXPECT_EQ(error_record(StreamShape::kNdjson, "a\nb", "r"), "{\"error\":\"a\\nb\"}\n");
  EXPECT_EQ(
      error_record(StreamShape::kOpenAiSse, "m", "r"),
      "data: "
      "{\"error\":{\"message\":\"m\",\"type\":\"api_error\",\"param\":null,\"code\":null}}\n\n");
  EXPECT_EQ(error_record(StreamShape::kAnthropic, "m", "r"),
            "event: error\ndata: "
            "{\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"m\"},"
            "\"request_id\":\"r\"}\n\n");
  EXPECT_EQ(error_record(StreamShape::kNone, "m", "r"), "");
}

// openai-python raises on a true "error" in the data, whatever the event; a flat error event alone
// would be handed to the program as an ordinary event.
TEST(ErrorRecord, WithoutATextIsAnErrorAllTheSame) {
  EXPECT_EQ(error_record(StreamShape::kNdjson, "", "r"), "{\"error\":\"the answer broke off\"}\n");
}
TEST(ErrorRecord, OfResponsesHasBothTheFlatFieldsAndTheObject) {
  const std::string record = error_record(StreamShape::kResponses, "m", "r");
  EXPECT_TRUE(record.starts_with("event: error\ndata: {\"type\":\"error\","));
  EXPECT_NE(record.find("\"message\":\"m\",\"param\":null,\"error\":{\"message\":\"m\""),
            std::string::npos);
  EXPECT_TRUE(record.ends_with("}}\n\n"));
}

TEST(JsonQuote, EscapesWhatJsonWantsEscaped) {
  EXPECT_EQ(json_quote(""), R"("")");
  EXPECT_EQ(json_quote("a\"b\\c/\b\f\n\r\t"), R"("a\"b\\c/\b\f\n\r\t")");
  EXPECT_EQ(json_quote(std::string("\0\x1f\x7f", 3)), "\"\\u0000\\u001f\x7f\"");
  EXPECT_EQ(json_quote("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"),
            "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"");
}

TEST(JsonQuote, ReplacesWhatIsNotUtf8) {
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(json_quote("a\xFF"
                       "b"),
            "\"a" + r + "b\"");
  EXPECT_EQ(json_quote("\xC0\x80"), '"' + r + r + '"');
  EXPECT_EQ(json_quote("\xED\xA0\x80"), '"' + r + r + r + '"');
  EXPECT_EQ(json_quote("\xE2\x82"), '"' + r + r + '"');
  EXPECT_EQ(json_quote("\xF4\x90\x80\x80"), '"' + r + r + r + r + '"');
}

TEST(JsonQuote, ReadsBackAsWhatWentIn) {
  simdjson::dom::parser parser;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text = "x" + std::string(1, static_cast<char>(byte)) + "\xE2\x82\xAC";
    std::string_view back;
    ASSERT_FALSE(parser.parse(json_quote(text)).get(back)) << byte;
    if (byte < 0x80) {
      EXPECT_EQ(back, text) << byte;
    }
  }
}

}  // namespace
}  // namespace drover::wire
