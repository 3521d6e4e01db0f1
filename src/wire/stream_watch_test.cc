#include "wire/stream_watch.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/rng.h"
#include "wire/dialect.h"

namespace drover::wire {
namespace {

using std::chrono::nanoseconds;

std::string show(const StreamWatch& watch) {
  const Usage u = watch.usage();
  return std::to_string(watch.records()) + (watch.at_boundary() ? " whole" : " half") +
         (watch.terminal() ? " terminal" : "") + (watch.failed() ? " failed" : "") + " '" +
         watch.error() + "' " + std::to_string(u.prompt_tokens) + '/' +
         std::to_string(u.output_tokens) + ' ' + std::to_string(u.total.count()) + ' ' +
         std::to_string(u.load.count()) + ' ' + std::to_string(u.prompt_eval.count()) + ' ' +
         std::to_string(u.eval.count());
}

StreamWatch watched(StreamShape shape, std::string_view stream,
                    std::size_t step = std::string_view::npos) {
  StreamWatch watch(shape);
  while (!stream.empty()) {
    const std::string_view piece = stream.substr(0, step);
    watch.feed(piece);
    stream.remove_prefix(piece.size());
  }
  return watch;
}

const std::string kChat =
    R"({"model":"llama3","created_at":"2025-05-04T17:37:44Z","message":{"role":"assistant",)"
    R"("content":"The"},"done":false})"
    "\n"
    R"({"model":"llama3","created_at":"2025-05-04T17:37:44Z","message":{"role":"assistant",)"
    R"("content":" sky \"done\":true \u003c"},"done":false})"
    "\n"
    R"({"model":"llama3","created_at":"2025-05-04T17:37:45Z","message":{"role":"assistant",)"
    R"("content":""},"done_reason":"stop","done":true,"total_duration":4648158584,)"
    R"("load_duration":4071084,"prompt_eval_count":26,"prompt_eval_duration":439038000,)"
    R"("eval_count":237,"eval_duration":4196918000})"
    "\n";

const std::string kOpenAi =
    R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1746380264,)"
    R"("model":"llama3","choices":[{"index":0,"delta":{"role":"assistant","content":"The"},)"
    R"("finish_reason":null}]})"
    "\n\n"
    R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1746380264,)"
    R"("model":"llama3","choices":[{"index":0,)"
    R"("delta":{"content":" \"usage\":{ \"error\": [DONE]"},"finish_reason":"stop"}],"usage":null})"
    "\n\n"
    R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[],)"
    R"("usage":{"prompt_tokens":26,"completion_tokens":237,"total_tokens":263}})"
    "\n\ndata: [DONE]\n\n";

const std::string kResponses =
    "event: response.created\n"
    R"(data: {"type":"response.created","response":{"id":"r","status":"in_progress","error":null,)"
    R"("usage":null},"sequence_number":0})"
    "\n\nevent: response.output_text.delta\n"
    R"(data: {"type":"response.output_text.delta","delta":"The \"type\":\"error\"",)"
    R"("sequence_number":1})"
    "\n\nevent: response.completed\n"
    R"(data: {"type":"response.completed","response":{"id":"r","status":"completed",)"
    R"("output":[{"type":"message","content":[{"type":"output_text","text":"x"}]}],)"
    R"("usage":{"input_tokens":26,"output_tokens":237,"total_tokens":263}},"sequence_number":2})"
    "\n\n";

const std::string kAnthropic =
    "event: message_start\n"
    R"(data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",)"
    R"("content":[],"usage":{"input_tokens":26,"output_tokens":0}}})"
    "\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\nevent: content_block_delta\n"
    R"(data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta",)"
    R"("text":"{\"type\":\"message_stop\"}"}})"
    "\n\nevent: message_delta\n"
    R"(data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},)"
    R"("usage":{"output_tokens":237}})"
    "\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

struct Recorded {
  StreamShape shape;
  std::string stream;
  std::string facts;
};

std::vector<Recorded> good_and_cut_streams() {
  using enum StreamShape;
  const std::string tokens = " '' 26/237 0 0 0 0";
  return {
      {kNdjson, kChat, "3 whole terminal '' 26/237 4648158584 4071084 439038000 4196918000"},
      {kOpenAiSse, kOpenAi, "4 whole terminal" + tokens},
      {kResponses, drover::wire::kResponses, "3 whole terminal" + tokens},
      {kAnthropic, drover::wire::kAnthropic, "5 whole terminal" + tokens},
      // Cut after a whole record, and in the middle of one.
      {kNdjson, kChat.substr(0, kChat.find('\n') + 1), "1 whole '' 0/0 0 0 0 0"},
      {kNdjson, kChat.substr(0, kChat.size() - 5), "2 half '' 0/0 0 0 0 0"},
      {kOpenAiSse, kOpenAi.substr(0, kOpenAi.find("data: [DONE]")), "3 whole" + tokens},
      {kOpenAiSse, kOpenAi.substr(0, kOpenAi.size() - 1), "3 half" + tokens},
      {kAnthropic, drover::wire::kAnthropic.substr(0, drover::wire::kAnthropic.rfind("event:") + 5),
       "4 half" + tokens},
      // An object ends by itself; the newline after it may be missing.
      {kNdjson, R"({"done":true})", "0 half terminal '' 0/0 0 0 0 0"},
      {kNdjson, "{\"done\" : true}\r\n", "1 whole terminal '' 0/0 0 0 0 0"},
      {kNdjson, "\n\r\n  \n{\"a\":1}\n\n", "1 whole '' 0/0 0 0 0 0"},
      {kNdjson, "", "0 whole '' 0/0 0 0 0 0"},
  };
}

// Errors, as each server writes them.
std::vector<Recorded> error_streams() {
  using enum StreamShape;
  return {
      {kNdjson, "{\"error\":\"CUDA error: unspecified launch failure\"}\n",
       "1 whole failed 'CUDA error: unspecified launch failure' 0/0 0 0 0 0"},
      {kNdjson, "{\"error\": {\"message\":\"m\"}}\n{\"error\":\"later\"}\n",
       "2 whole failed 'm' 0/0 0 0 0 0"},
      {kNdjson, "{\"error\":\"\"}\n{\"error\":null}\n{\"x\":{\"error\":\"e\"}}\n",
       "3 whole '' 0/0 0 0 0 0"},
      {kOpenAiSse, "data: {\"error\":{\"message\":\"boom\",\"type\":\"api_error\"}}\n\n",
       "1 whole failed 'boom' 0/0 0 0 0 0"},
      {kOpenAiSse, "data: {\"error\":null,\"type\":\"error\"}\n\n", "1 whole '' 0/0 0 0 0 0"},
      {kResponses, "event: error\ndata: {\"type\":\"error\",\"message\":\"boom\"}\n\n",
       "1 whole failed 'boom' 0/0 0 0 0 0"},
      {kResponses,
       "data: {\"type\":\"response.failed\",\"response\":{\"error\":{\"message\":\"m\"}}}\n\n",
       "1 whole terminal '' 0/0 0 0 0 0"},
      {kAnthropic,
       "event: error\ndata: "
       "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"boom\"}}\n\n",
       "1 whole failed 'boom' 0/0 0 0 0 0"},
      {kAnthropic, "event: error\ndata: not json\n\n",
       "1 whole failed 'the instance gave no reason' 0/0 0 0 0 0"},
  };
}

// Nested, in text, as a value, with an escaped key.
std::vector<Recorded> look_alikes() {
  using enum StreamShape;
  return {
      {kNdjson,
       R"({"message":{"tool_calls":[{"function":{"arguments":{"done":true,"error":"x"}}}]},)"
       R"("done":false})"
       "\n",
       "1 whole '' 0/0 0 0 0 0"},
      {kNdjson,
       R"({"response":"{\"done\":true}","x":"done","done":false})"
       "\n",
       "1 whole '' 0/0 0 0 0 0"},
      {kNdjson,
       R"({"d\u006fne":true,"done":"true"})"
       "\n",
       "1 whole '' 0/0 0 0 0 0"},
      {kNdjson,
       R"({"done":true,"done":false})"
       "\n",
       "1 whole '' 0/0 0 0 0 0"},
      {kNdjson, "[{\"done\":true}]\n\"done\"\n{\"done\":true\n{\"done\":true]\n",
       "4 whole '' 0/0 0 0 0 0"},
      {kNdjson,
       R"({"done":false,"eval_count":5})"
       "\n",
       "1 whole '' 0/0 0 0 0 0"},
      {kNdjson,
       R"({"done":true,"eval_count":-5,"total_duration":1e9,"load_duration":99999999999999999999})"
       "\n",
       "1 whole terminal '' 0/0 0 0 0 0"},
  };
}

// What the format of events allows, and what it does not.
std::vector<Recorded> odd_events() {
  using enum StreamShape;
  return {
      {kOpenAiSse, ": comment\n\nid: 7\nretry: 1\n\ndata:[DONE]\r\n\r\n",
       "1 whole terminal '' 0/0 0 0 0 0"},
      {kOpenAiSse, "data: {\"usage\":\ndata: {\"prompt_tokens\":3}}\n\n", "1 whole '' 3/0 0 0 0 0"},
      {kOpenAiSse, "data: [DONE]\n", "0 half '' 0/0 0 0 0 0"},
      {kOpenAiSse, "data: [DONE]  \n\ndata\n\ndata: [DONE]\ndata: \n\n",
       "3 whole terminal '' 0/0 0 0 0 0"},
      {kOpenAiSse, "data: \"[DONE]\"\n\ndata: x[DONE]\n\nxdata: [DONE]\n\n dat",
       "2 half '' 0/0 0 0 0 0"},
      {kOpenAiSse, "event: error\n\ndata: {}\n\n", "1 whole '' 0/0 0 0 0 0"},
      {kAnthropic, "data: {\"type\":\"message\\u005fstop\"}\n\n",
       "1 whole terminal '' 0/0 0 0 0 0"},
      {kAnthropic, "data: {\"delta\":{\"type\":\"message_stop\"}}\n\n", "1 whole '' 0/0 0 0 0 0"},
      {kAnthropic, "data: {}\nevent: message_stop\n\n", "1 whole terminal '' 0/0 0 0 0 0"},
      {kAnthropic, "event: message_stop\nevent\ndata: {}\n\n", "1 whole '' 0/0 0 0 0 0"},
      {kOpenAiSse, "data: {\"choices\":[]}\n\nevent: ping\n", "1 half '' 0/0 0 0 0 0"},
      {kNone, "{\"done\":true}\n", "0 whole '' 0/0 0 0 0 0"},
  };
}

std::vector<Recorded> recorded() {
  std::vector<Recorded> all;
  for (auto part : {good_and_cut_streams(), error_streams(), look_alikes(), odd_events()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

TEST(StreamWatch, ReadsRecordedStreams) {
  for (const auto& [shape, stream, facts] : recorded()) {
    EXPECT_EQ(show(watched(shape, stream)), facts) << stream;
  }
}

TEST(StreamWatch, FindsTheSameWhereverTheStreamIsCut) {
  for (const auto& [shape, stream, facts] : recorded()) {
    for (std::size_t at = 0; at <= stream.size(); ++at) {
      StreamWatch watch(shape);
      watch.feed(std::string_view(stream).substr(0, at));
      watch.feed(std::string_view(stream).substr(at));
      ASSERT_EQ(show(watch), facts) << stream << "\ncut at " << at;
    }
    EXPECT_EQ(show(watched(shape, stream, 1)), facts) << stream;
    EXPECT_EQ(show(watched(shape, stream, 2)), facts) << stream;
    EXPECT_EQ(show(watched(shape, stream, 7)), facts) << stream;
  }
}

TEST(StreamWatch, FindsTheSameInRandomPiecesOfMixedStreams) {
  const std::uint64_t seed = 4711;
  Rng rng(seed);
  const auto table = recorded();
  for (int round = 0; round < 2000; ++round) {
    const StreamShape shape = table[rng.below(table.size())].shape;
    std::string stream;
    while (stream.size() < 600) stream += table[rng.below(table.size())].stream;
    const std::string whole = show(watched(shape, stream));
    StreamWatch watch(shape);
    for (std::string_view rest = stream; !rest.empty();) {
      const std::string_view piece = rest.substr(0, rng.below(300));
      watch.feed(piece);
      rest.remove_prefix(piece.size());
    }
    ASSERT_EQ(show(watch), whole) << "seed " << seed << " round " << round;
  }
}

TEST(StreamWatch, SeesTheTerminalAtTheExactByte) {
  StreamWatch watch(StreamShape::kNdjson);
  std::size_t at = 0;
  while (at < kChat.size() && !watch.terminal())
    watch.feed(std::string_view(kChat).substr(at++, 1));
  EXPECT_EQ(at, kChat.size() - 1);
  EXPECT_FALSE(watch.at_boundary());
  watch.feed("\n");
  EXPECT_TRUE(watch.at_boundary());
}

TEST(StreamWatch, ReadsALineOfNineMegabytes) {
  std::string line = R"({"model":"m","response":"","done":true,"context":[)";
  while (line.size() < 9'000'000) line += "128006,";
  line += R"(1],"eval_count":7})"
          "\n";
  EXPECT_EQ(show(watched(StreamShape::kNdjson, line)), "1 whole terminal '' 0/7 0 0 0 0");
  EXPECT_EQ(show(watched(StreamShape::kNdjson, line, 65'536)), "1 whole terminal '' 0/7 0 0 0 0");
  line.resize(line.size() - 4);
  EXPECT_EQ(show(watched(StreamShape::kNdjson, line, 65'536)), "0 half '' 0/0 0 0 0 0");
}

TEST(StreamWatch, BoundsAndEscapesTheErrorText) {
  const std::string text = "a\n\x1b[31m\x7f" + std::string(190, 'x');
  const auto watch = watched(StreamShape::kNdjson, error_record(StreamShape::kNdjson, text, ""));
  EXPECT_TRUE(watch.error().starts_with("a\\n\\x1b[31m\\x7fxxx"));
  EXPECT_EQ(watch.error().size(), 200U);
  std::string wide;
  for (int i = 0; i < 100; ++i) wide += "\xE2\x82\xAC";
  const auto cut = watched(StreamShape::kNdjson, error_record(StreamShape::kNdjson, wide, ""));
  EXPECT_EQ(cut.error(), wide.substr(0, 198));
}

TEST(StreamWatch, TakesOurOwnErrorRecordsForErrors) {
  for (const auto& [shape, stream] :
       std::vector<std::pair<StreamShape, std::string>>{{StreamShape::kNdjson, kChat},
                                                        {StreamShape::kOpenAiSse, kOpenAi},
                                                        {StreamShape::kResponses, kResponses},
                                                        {StreamShape::kAnthropic, kAnthropic}}) {
    const std::size_t records = watched(shape, stream).records();
    const std::string record = error_record(shape, "instance \"a\" is gone", "req_1");
    for (const std::size_t step : {std::string::npos, std::size_t{1}}) {
      const auto watch = watched(shape, record, step);
      EXPECT_TRUE(watch.failed()) << record;
      EXPECT_FALSE(watch.terminal()) << record;
      EXPECT_TRUE(watch.at_boundary()) << record;
      EXPECT_EQ(watch.error(), "instance \"a\" is gone");
      EXPECT_EQ(watched(shape, stream + record, step).records(), records + 1);
    }
  }
}

TEST(StreamWatch, SurvivesBeingMoved) {
  StreamWatch first(StreamShape::kNdjson);
  first.feed(R"({"done":)");
  StreamWatch second = std::move(first);
  second.feed("true}\n");
  EXPECT_TRUE(second.terminal());
}

}  // namespace
}  // namespace drover::wire
