#include "gateway/usage_wish.h"

#include <gtest/gtest.h>

namespace drover::gateway {
namespace {

std::string asked(std::string body) {
  wire::RequestInspector inspector;
  const bool whole = inspector.take_whole(body) || inspector.feed(body).ok();
  EXPECT_TRUE(whole) << body;
  wire::RequestFacts facts = std::move(inspector.finish()).value();
  if (!ask_for_usage(facts)) return "(as it is)";
  for (auto edit = facts.edits.rbegin(); edit != facts.edits.rend(); ++edit) {
    body.replace(edit->offset, edit->length, edit->text);
  }
  return body;
}

TEST(UsageWish, IsWrittenWhereOptionsStand) {
  EXPECT_EQ(asked(R"({"model":"m"})"), R"({"stream_options":{"include_usage":true},"model":"m"})");
  EXPECT_EQ(asked(R"({"stream_options":null,"model":"m"})"),
            R"({"stream_options":{"include_usage":true},"model":"m"})");
  EXPECT_EQ(asked(R"({"stream_options":{},"model":"m"})"),
            R"({"stream_options":{"include_usage":true},"model":"m"})");
  EXPECT_EQ(asked(R"({"stream_options":{"x":1}})"),
            R"({"stream_options":{"include_usage":true,"x":1}})");
  for (const char* none : {"false", "null"}) {
    const std::string body = R"({"stream_options":{"x":1,"include_usage":)" + std::string(none);
    EXPECT_EQ(asked(body + "}}"), R"({"stream_options":{"x":1,"include_usage":true}})");
  }
  // Escapes take the longer way through the body.
  EXPECT_EQ(asked(R"({"Stream_Options":{"include\u005fusage":false}})"),
            R"({"stream_options":{"include_usage":true}})");
}

TEST(UsageWish, IsNotWrittenOverWhatTheClientSays) {
  for (const char* body :
       {R"({"stream_options":{"include_usage":true}})", R"({"stream_options":{"include_usage":1}})",
        R"({"stream_options":[]})", R"({"stream_options":"x"})"}) {
    EXPECT_EQ(asked(body), "(as it is)") << body;
  }
}

TEST(UsageWish, OnlyTheRecordThatTellsItIsKept) {
  const std::string token =
      R"(data: {"choices":[{"delta":{"content":"\"choices\":[],\"usage\":{"}}]})"
      "\n\n";
  const std::string usage = R"(data: {"id":"x","choices":[],"usage":{"prompt_tokens":1}})"
                            "\n\n";
  EXPECT_EQ(without_usage(token + usage + "data: [DONE]\n\n", false), token + "data: [DONE]\n\n");
  EXPECT_EQ(without_usage(usage, false), "");
  EXPECT_EQ(without_usage(token, false), token);
  // Nobody may be given half a record.
  const std::string half = usage.substr(0, usage.size() - 2);
  EXPECT_EQ(without_usage(half, false), half);
  EXPECT_EQ(without_usage(usage + usage, true), usage);
}

}  // namespace
}  // namespace drover::gateway
