// Every dialect's answers, read back by the watcher that the balancer uses, and the refusals.

#include "fake_ollama/request.h"
#include "fake_ollama/test_client.h"
#include "fake_ollama/text.h"
#include "wire/document.h"
#include "wire/stream_watch.h"

namespace drover::fake {
namespace {

constexpr std::string_view kMessages = R"("messages":[{"role":"user","content":"hi"}])";

wire::StreamWatch watched(StreamShape shape, const Reply& reply) {
  wire::StreamWatch watch(shape);
  for (char c : reply.body) watch.feed({&c, 1});
  return watch;
}

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
  return found;
}

class Dialects : public FakeOllamaTest {
 protected:
  Reply& v1(std::string_view path, std::string_view rest) {
    return done(post(path, R"({"model":"llama3.2",)" + std::string(rest) + "}"));
  }
};

TEST_F(Dialects, NativeStreamEndsWithItsNumbers) {
  start();
  const Reply& reply = done(chat("llama3.2", 5));
  EXPECT_EQ(reply.type, "application/x-ndjson");
  EXPECT_TRUE(reply.complete);
  const auto watch = watched(StreamShape::kNdjson, reply);
  EXPECT_TRUE(watch.terminal());
  EXPECT_FALSE(watch.failed());
  EXPECT_EQ(watch.records(), 6u);
  EXPECT_EQ(watch.usage().output_tokens, 5u);
  EXPECT_EQ(watch.usage().eval, 50ms);
  EXPECT_GE(watch.usage().load, 300ms);
  EXPECT_GE(watch.usage().total, watch.usage().load + watch.usage().eval);
}

TEST_F(Dialects, OneWritePerToken) {
  start();
  const Reply& reply = done(chat("llama3.2", 8));
  EXPECT_EQ(reply.pieces, 8u);  // the final record follows the last token at once
}

TEST_F(Dialects, TheAnswerIsAFunctionOfSeedAndQuestion) {
  FakeOptions options;
  options.seed = 7;
  start(options);
  const Reply& reply = done(
      post("/api/generate",
           R"({"model":"llama3.2","prompt":"hi","stream":false,"options":{"num_predict":9}})"));
  EXPECT_NE(reply.body.find(R"("response":")" + answer_text(7, "hi", 9) + "\""), std::string::npos);
  EXPECT_NE(answer_text(7, "hi", 9), answer_text(8, "hi", 9));
  EXPECT_NE(answer_text(7, "hi", 9), answer_text(7, "ho", 9));
}

TEST_F(Dialects, EchoGivesTheQuestionBack) {
  start();
  const Reply& reply = done(
      post("/api/generate", R"({"model":"llama3.2","prompt":"echo: a  b \"c\"","stream":false})"));
  EXPECT_NE(reply.body.find(R"("response":"a  b \"c\"")"), std::string::npos);
  EXPECT_NE(reply.body.find(R"("done_reason":"stop")"), std::string::npos);
}

TEST_F(Dialects, OpenAiStreamEndsWithDone) {
  start();
  const Reply& reply =
      v1("/v1/chat/completions", R"("stream":true,"stream_options":{"include_usage":true},)"
                                 R"("max_completion_tokens":3,)" +
                                     std::string(kMessages));
  EXPECT_EQ(reply.type, "text/event-stream");
  const auto watch = watched(StreamShape::kOpenAiSse, reply);
  EXPECT_TRUE(watch.terminal());
  EXPECT_FALSE(watch.failed());
  EXPECT_EQ(watch.usage().output_tokens, 3u);
  EXPECT_EQ(count(reply.body, R"("finish_reason":"length")"), 1u);
  EXPECT_TRUE(reply.body.ends_with("data: [DONE]\n\n"));
}

TEST_F(Dialects, UsageComesOnlyWhenAskedFor) {
  start();
  const Reply& reply = v1("/v1/completions", R"("stream":true,"prompt":"hi","max_tokens":2)");
  EXPECT_TRUE(watched(StreamShape::kOpenAiSse, reply).terminal());
  EXPECT_EQ(reply.body.find("usage"), std::string::npos);
}

TEST_F(Dialects, ResponsesStreamEndsCompleted) {
  start();
  const Reply& reply = v1("/v1/responses", R"("stream":true,"input":"hi","max_output_tokens":3)");
  const auto watch = watched(StreamShape::kResponses, reply);
  EXPECT_TRUE(watch.terminal());
  EXPECT_EQ(watch.usage().output_tokens, 3u);
  EXPECT_EQ(count(reply.body, "event: response.output_text.delta"), 3u);
  EXPECT_NE(reply.body.find("\"text\":\"" + answer_text(1, "hi", 3)), std::string::npos);
}

TEST_F(Dialects, AnthropicStreamEndsWithMessageStop) {
  start();
  const Reply& reply =
      v1("/v1/messages", R"("stream":true,"max_tokens":4,)" + std::string(kMessages));
  const auto watch = watched(StreamShape::kAnthropic, reply);
  EXPECT_TRUE(watch.terminal());
  EXPECT_EQ(watch.usage().output_tokens, 4u);
  EXPECT_EQ(count(reply.body, "event: content_block_delta"), 4u);
  EXPECT_NE(reply.body.find(R"("stop_reason":"max_tokens")"), std::string::npos);
}

TEST_F(Dialects, DocumentsReadBack) {
  start();
  const Reply* all[] = {
      &v1("/api/chat", R"("stream":false,)" + std::string(kMessages)),
      &v1("/v1/chat/completions", kMessages),
      &v1("/v1/completions", R"("prompt":"hi")"),
      &v1("/v1/responses", R"("input":"hi")"),
      &v1("/v1/messages", R"("max_tokens":100,)" + std::string(kMessages)),
  };
  for (const Reply* reply : all) {
    SCOPED_TRACE(reply->body);
    EXPECT_EQ(reply->status, 200);
    const auto facts = wire::read_document(reply->body);
    EXPECT_TRUE(facts.valid);
    EXPECT_FALSE(facts.has_error);
    EXPECT_EQ(facts.usage.output_tokens, 32u);
    EXPECT_NE(reply->body.find(answer_text(1, "hi", 32)), std::string::npos);
  }
}

TEST_F(Dialects, ToolsAreCalledWhenTheQuestionSaysTool) {
  start();
  const std::string asked =
      R"("messages":[{"role":"user","content":"use the tool"}],"tools":[{"type":"function",)"
      R"("function":{"name":"weather","parameters":{"properties":{"n":{"type":"integer"}}}}}])";
  const Reply& native = v1("/api/chat", asked);
  EXPECT_NE(native.body.find(R"("name":"weather","arguments":{"n":7})"), std::string::npos);
  EXPECT_TRUE(watched(StreamShape::kNdjson, native).terminal());
  const Reply& openai = v1("/v1/chat/completions", R"("stream":true,)" + asked);
  EXPECT_NE(openai.body.find(R"("arguments":"{\"n\":7}")"), std::string::npos);
  EXPECT_NE(openai.body.find(R"("finish_reason":"tool_calls")"), std::string::npos);
  const Reply& anthropic =
      v1("/v1/messages",
         R"("stream":true,"max_tokens":9,"messages":[{"role":"user","content":"tool"}],)"
         R"("tools":[{"name":"weather","input_schema":{"properties":{"n":{"type":"integer"}}}}])");
  EXPECT_NE(anthropic.body.find(R"("stop_reason":"tool_use")"), std::string::npos);
}

TEST_F(Dialects, EmbeddingsAreEqualOnEveryRoute) {
  start();
  const std::string model = R"({"model":"nomic-embed-text",)";
  const Reply& native = done(post("/api/embed", model + R"("input":["a","b"]})"));
  const Reply& old = done(post("/api/embeddings", model + R"("prompt":"a"})"));
  const Reply& openai = done(post("/v1/embeddings", model + R"("input":"a"})"));
  const std::string vector = old.body.substr(old.body.find('['), old.body.find(']'));
  EXPECT_NE(native.body.find(vector.substr(0, 40)), std::string::npos);
  EXPECT_NE(openai.body.find(vector.substr(0, 40)), std::string::npos);
  EXPECT_EQ(count(vector, ","), kEmbeddingDimension - 1);
  const Reply& coded =
      done(post("/v1/embeddings", model + R"("input":"a","encoding_format":"base64"})"));
  EXPECT_NE(coded.body.find(base64_floats(embedding(1, "a", 16))), std::string::npos);
}

TEST_F(Dialects, RefusalsHaveTheWordsOfTheirRoute) {
  start();
  const std::string body = R"({"model":"x","messages":[{"role":"user","content":"a"}],)"
                           R"("prompt":"a","input":"a","max_tokens":1})";
  const auto refused = [&](std::string_view path) {
    const Reply& reply = done(post(path, body));
    EXPECT_EQ(reply.status, 404) << path;
    return reply.body;
  };
  EXPECT_EQ(refused("/api/chat"), R"({"error":"model 'x' not found"})");
  EXPECT_EQ(refused("/api/generate"), R"({"error":"model 'x' not found"})");
  EXPECT_EQ(refused("/api/show"), R"({"error":"model 'x' not found"})");
  EXPECT_EQ(refused("/api/embed"), R"({"error":"model \"x\" not found, try pulling it first"})");
  EXPECT_EQ(refused("/v1/chat/completions"),
            R"({"error":{"message":"model 'x' not found","type":"not_found_error",)"
            R"("param":null,"code":null}})");
  EXPECT_NE(refused("/v1/messages").find(R"("type":"not_found_error")"), std::string::npos);
  EXPECT_EQ(refused("/api/nothing"), "404 page not found");
}

TEST_F(Dialects, WhatIsMissingIsA400) {
  start();
  EXPECT_EQ(done(post("/api/chat", "")).body, R"({"error":"missing request body"})");
  EXPECT_EQ(done(post("/api/chat", "{}")).body, R"({"error":"model is required"})");
  EXPECT_EQ(done(post("/api/chat", "{")).status, 400);
  EXPECT_EQ(done(post("/api/generate", R"({"model":"llama3.2","keep_alive":"-1"})")).status, 400);
  EXPECT_EQ(done(chat("nomic-embed-text")).status, 400);
  EXPECT_EQ(done(post("/v1/messages", R"({"model":"llama3.2"})")).status, 400);
  EXPECT_EQ(done(get("/api/chat")).status, 405);
}

TEST_F(Dialects, ForeignHostAndOriginAreForbidden) {
  start();
  const auto status = [this](std::string_view fields) {
    return done(request("GET", "/api/version", "", fields)).status;
  };
  EXPECT_EQ(status("Host: gw.example.com\r\n"), 403);
  EXPECT_EQ(status("Host: 8.8.8.8:11434\r\n"), 403);
  EXPECT_EQ(status("Host: localhost:11434\r\n"), 200);
  EXPECT_EQ(status("Host: 192.168.1.5\r\n"), 200);
  EXPECT_EQ(status("Host: localhost\r\nOrigin: https://example.com\r\n"), 403);
  EXPECT_EQ(status("Host: localhost\r\nOrigin: http://localhost:3000\r\n"), 200);
  EXPECT_EQ(done(request("GET", "/", "", "Host: gw.example.com\r\n")).body, "");
}

TEST_F(Dialects, Http10StreamsEndWithTheConnection) {
  start();
  const std::string body = R"({"model":"llama3.2","prompt":"hi","options":{"num_predict":2}})";
  const Reply& reply =
      done(raw("POST /api/generate HTTP/1.0\r\nContent-Length: " + std::to_string(body.size()) +
               "\r\n\r\n" + body));
  EXPECT_TRUE(reply.ended);
  EXPECT_EQ(reply.raw.find("chunked"), std::string::npos);
  EXPECT_NE(reply.raw.find("\"done\":true"), std::string::npos);
}

TEST_F(Dialects, TheModelListFollowsPullCopyAndDelete) {
  start();
  const Reply& pull = done(post("/api/pull", R"({"model":"new"})"));
  EXPECT_TRUE(pull.body.ends_with("{\"status\":\"success\"}\n"));
  EXPECT_EQ(done(post("/api/copy", R"({"source":"new","destination":"twin"})")).status, 200);
  EXPECT_EQ(done(request("DELETE", "/api/delete", R"({"model":"new"})")).status, 200);
  const Reply& tags = done(get("/api/tags"));
  EXPECT_NE(tags.body.find("\"twin:latest\""), std::string::npos);
  EXPECT_EQ(tags.body.find("\"new:latest\""), std::string::npos);
  EXPECT_EQ(done(post("/api/blobs/sha256:00", "bytes")).status, 201);
  EXPECT_EQ(done(post("/api/blobs/sha256:00", "bytes")).status, 200);
}

TEST_F(Dialects, AFiveMegabyteImageIsTaken) {
  start();
  const std::string image(5'000'000, 'A');
  const Reply& reply = v1("/api/chat", R"("messages":[{"role":"user","content":"hi","images":[")" +
                                           image + R"("]}],"stream":false)");
  EXPECT_NE(reply.body.find(answer_text(1, "hi", 32)), std::string::npos);
}

TEST(FakeOptions, ModelsHaveSizes) {
  std::string error;
  const auto models = parse_models("a,b:8b,c:4GB,d:1b:1.5GB,my-embed", error);
  ASSERT_EQ(models.size(), 5u);
  EXPECT_EQ(models[0].name, "a:latest");
  EXPECT_EQ(models[1].name, "b:8b");
  EXPECT_EQ(models[2].name, "c:latest");
  EXPECT_EQ(models[2].bytes, 4'000'000'000u);
  EXPECT_EQ(models[3].name, "d:1b");
  EXPECT_EQ(models[3].bytes, 1'500'000'000u);
  EXPECT_TRUE(models[4].embeds);
  EXPECT_TRUE(parse_models("a,,b", error).empty());
  EXPECT_FALSE(error.empty());
}

TEST(FakeOptions, DurationsAreGos) {
  Duration d{};
  EXPECT_TRUE(parse_go_duration("1h30m", d));
  EXPECT_EQ(d, 90min);
  EXPECT_TRUE(parse_go_duration("-1s", d));
  EXPECT_EQ(d, -1s);
  EXPECT_TRUE(parse_go_duration("1.5ms", d));
  EXPECT_EQ(d, 1500us);
  EXPECT_FALSE(parse_go_duration("-1", d));
  EXPECT_FALSE(parse_go_duration("", d));
  EXPECT_FALSE(parse_go_duration("5x", d));
}

}  // namespace
}  // namespace drover::fake
