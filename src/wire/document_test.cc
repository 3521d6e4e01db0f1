#include "wire/document.h"

#include <gtest/gtest.h>

#include <string>

#include "wire/dialect.h"

namespace drover::wire {
namespace {

using std::chrono::nanoseconds;

TEST(DocumentReader, ReadsANativeAnswer) {
  const auto facts = read_document(
      R"({"model":"m","response":"x","done":true,"total_duration":5,"load_duration":4,)"
      R"("prompt_eval_count":3,"prompt_eval_duration":2,"eval_count":1,"eval_duration":9})");
  EXPECT_TRUE(facts.valid);
  EXPECT_FALSE(facts.truncated);
  EXPECT_FALSE(facts.has_error);
  EXPECT_EQ(facts.usage.prompt_tokens, 3U);
  EXPECT_EQ(facts.usage.output_tokens, 1U);
  EXPECT_EQ(facts.usage.total, nanoseconds(5));
  EXPECT_EQ(facts.usage.load, nanoseconds(4));
  EXPECT_EQ(facts.usage.prompt_eval, nanoseconds(2));
  EXPECT_EQ(facts.usage.eval, nanoseconds(9));
}

TEST(DocumentReader, ReadsTheUsageOfTheOtherDialects) {
  for (const char* body : {R"({"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}})",
                           R"({"type":"message","usage":{"input_tokens":3,"output_tokens":1}})",
                           "{\"object\":\"response\",\"error\":null,\"usage\":{\"input_tokens\":3,"
                           "\"output_tokens\":1}}\n"}) {
    const auto facts = read_document(body);
    EXPECT_TRUE(facts.valid) << body;
    EXPECT_FALSE(facts.has_error) << body;
    EXPECT_EQ(facts.usage.prompt_tokens, 3U) << body;
    EXPECT_EQ(facts.usage.output_tokens, 1U) << body;
  }
}

TEST(DocumentReader, SeesATruncatedGeneration) {
  EXPECT_TRUE(read_document(R"({"response":"x","done":false})").truncated);
  EXPECT_FALSE(read_document(R"({"message":{"done":false},"done":true})").truncated);
}

TEST(DocumentReader, ReadsTheErrorOfEveryDialect) {
  for (const Dialect dialect : {Dialect::kNative, Dialect::kOpenAi, Dialect::kAnthropic}) {
    const auto facts = read_document(error_body(dialect, 500, "it broke", "req_1"));
    EXPECT_TRUE(facts.valid);
    EXPECT_TRUE(facts.has_error);
    EXPECT_EQ(facts.error, "it broke");
  }
}

TEST(DocumentReader, IsInvalidForWhatIsNotOneDocument) {
  for (const char* body :
       {"", " ", "{", "{} {}", "<html>", "{\"a\":1", "{\"error\":\"x\"} x", "404 page not found"}) {
    const auto facts = read_document(body);
    EXPECT_FALSE(facts.valid) << body;
    EXPECT_FALSE(facts.has_error) << body;
  }
  EXPECT_TRUE(read_document("[]").valid);
}

TEST(DocumentReader, AGenerationCutShortIsSeenInEveryDialect) {
  const auto truncated = [](std::string_view body) { return read_document(body).truncated; };
  EXPECT_TRUE(truncated(R"({"choices":[{"finish_reason":"stop"},{"finish_reason":null}]})"));
  EXPECT_TRUE(truncated(R"({"type":"message","stop_reason":null})"));
  EXPECT_TRUE(truncated(R"({"object":"response","status":"in_progress"})"));
  EXPECT_FALSE(truncated(R"({"choices":[{"finish_reason":"length"}]})"));
  EXPECT_FALSE(truncated(R"({"choices":[{"message":{"content":"\"finish_reason\":null"}}]})"));
  EXPECT_FALSE(truncated(R"({"type":"message","stop_reason":"end_turn"})"));
  EXPECT_FALSE(truncated(R"({"object":"response","status":"incomplete","x":"in_progress"})"));
}

TEST(DocumentReader, ADocumentThatIsNestedTooDeeplyIsInvalid) {
  const std::string deep = "{\"a\":" + std::string(200, '[') + std::string(200, ']') + '}';
  EXPECT_FALSE(read_document(deep).valid);
}

// What the short way accepts, the long way reads alike.
TEST(DocumentReader, SaysTheSameByBothWays) {
  std::size_t plain = 0;
  for (const char* body :
       {R"({"model":"m","done":true,"total_duration":5,"prompt_eval_count":3,"eval_count":1})",
        R"({"done":false,"done":true})",
        R"({"done":"true"})",
        R"({"error":"it broke"})",
        R"({"error":{"message":"it broke","type":"x"}})",
        R"({"error":{"type":"x"}})",
        R"({"error":"","message":"text"})",
        R"({"error":null})",
        R"({"error":false})",
        R"({"error":0})",
        R"({"error":1})",
        R"({"error":[]})",
        R"({"error":true,"message":"why"})",
        R"({"type":"error","error":{"message":"a\nb","message":"c"}})",
        R"({"usage":{"prompt_tokens":3,"completion_tokens":-1}})",
        R"({"usage":{"prompt_tokens":3.5,"output_tokens":18446744073709551615}})",
        R"({"response":{"usage":{"input_tokens":3,"output_tokens":1}}})",
        R"({"message":{"usage":{"input_tokens":3,"output_tokens":1}}})",
        R"({"message":{"deep":{"usage":{"input_tokens":3}}}})",
        R"([{"done":false}])",
        R"({"choices":[{"finish_reason":null}]})",
        R"({"eval_count":36893488147419103232})",
        R"({"a":1e400})",
        R"({"a":"\ud800"})",
        R"({"a":01})",
        "{\"a\":\"\xff\"}",
        "3 ",
        "{}",
        ""}) {
    const std::optional<DocumentFacts> short_way = read_plain_document(body);
    if (!short_way) continue;
    ++plain;
    const DocumentFacts& quick = *short_way;
    const DocumentFacts slow = read_any_document(body);
    EXPECT_EQ(quick.valid, slow.valid) << body;
    EXPECT_EQ(quick.truncated, slow.truncated) << body;
    EXPECT_EQ(quick.has_error, slow.has_error) << body;
    EXPECT_EQ(quick.error, slow.error) << body;
    EXPECT_EQ(quick.usage.prompt_tokens, slow.usage.prompt_tokens) << body;
    EXPECT_EQ(quick.usage.output_tokens, slow.usage.output_tokens) << body;
    EXPECT_EQ(quick.usage.total, slow.usage.total) << body;
  }
  EXPECT_GE(plain, 20U) << "most of these are plain";
}

TEST(DocumentReader, EndsOfOtherDialectsAreReadByBothWays) {
  for (const char* body :
       {R"({"status":"in_progress"})", R"({"status":"completed","stop_reason":null})",
        R"({"stop_reason":null})", R"({"stop_reason":"end_turn","stop_reason":null})",
        R"({"choices":[{"finish_reason":"stop"},{"finish_reason":null}]})",
        R"({"choices":[1,{"x":null}]})", R"({"choices":{"finish_reason":null}})",
        R"({"status":null,"choices":[{"finish_reason":null}]})"}) {
    const std::optional<DocumentFacts> plain = read_plain_document(body);
    ASSERT_TRUE(plain) << body;
    EXPECT_EQ(plain->truncated, read_any_document(body).truncated) << body;
  }
}

TEST(PlainDocument, NumbersAreThoseOfTheScanner) {
  for (const std::string_view number :
       {"0", "-0", "-5", "7", "26", "1.0", "0.5", "1234567.25", "999999999999999"}) {
    const std::string body =
        R"({"done":true,"prompt_eval_count":)" + std::string(number) + R"(,"eval_count":3})";
    const std::optional<DocumentFacts> plain = read_plain_document(body);
    ASSERT_TRUE(plain) << number;
    EXPECT_EQ(plain->usage.prompt_tokens, read_any_document(body).usage.prompt_tokens) << number;
    EXPECT_EQ(plain->usage.output_tokens, 3U) << number;
  }
}

}  // namespace
}  // namespace drover::wire
