// The bytes of every fault.

#include "fake_ollama/faults.h"

#include "fake_ollama/test_client.h"
#include "fake_ollama/text.h"
#include "wire/document.h"
#include "wire/stream_watch.h"

namespace drover::fake {
namespace {

class Faults : public FakeOllamaTest {
 protected:
  void SetUp() override {
    FakeOptions options;
    options.load_time = 1ms;
    start(options);
  }
  void arm(const std::string& json) { ASSERT_TRUE(fake->inject(json)) << json; }
  // A streamed answer of ten tokens in each dialect.
  Reply& openai() {
    return done(post("/v1/chat/completions", R"({"model":"llama3.2","stream":true,"max_tokens":10,)"
                                             R"("messages":[{"role":"user","content":"hi"}]})"));
  }
  Reply& anthropic() {
    return done(post("/v1/messages", R"({"model":"llama3.2","stream":true,"max_tokens":10,)"
                                     R"("messages":[{"role":"user","content":"hi"}]})"));
  }
  Reply& responses() {
    return done(post("/v1/responses", R"({"model":"llama3.2","stream":true,"input":"hi"})"));
  }
  Reply& whole() {
    return done(post("/api/generate", R"({"model":"llama3.2","prompt":"hi","stream":false})"));
  }
  // Nothing wrong any more.
  void expect_healthy() {
    const Reply& reply = done(chat());
    EXPECT_TRUE(reply.complete);
    EXPECT_NE(reply.body.find("\"done\":true"), std::string::npos);
  }
};

TEST_F(Faults, ResetSendsNoByte) {
  arm(R"({"kind":"reset","count":2})");
  for (int i = 0; i < 2; ++i) {
    const Reply& reply = done(chat());
    EXPECT_TRUE(reply.reset);
    EXPECT_EQ(reply.raw, "");
  }
  expect_healthy();
}

TEST_F(Faults, ResetMidComesAfterItsTokens) {
  arm(R"({"kind":"reset_mid","after_tokens":3})");
  const Reply& reply = done(chat("llama3.2", 10));
  EXPECT_TRUE(reply.reset);
  EXPECT_FALSE(reply.complete);
  EXPECT_EQ(fake->counts().tokens, 3u);
  EXPECT_EQ(fake->counts().cancelled, 0u);
  expect_healthy();
}

TEST_F(Faults, HangIsSilentUntilTheClientLeaves) {
  arm(R"({"kind":"hang"})");
  Reply& reply = done(chat());
  EXPECT_EQ(reply.raw, "");
  leave(reply);
  loop.run();
  EXPECT_EQ(fake->counts().cancelled, 1u);
  expect_healthy();
}

TEST_F(Faults, HangWithATimeEnds) {
  arm(R"({"kind":"hang","ms":5000})");
  const Reply& reply = done(chat());
  EXPECT_TRUE(reply.complete);
  EXPECT_GE(reply.took(), 5s);
}

TEST_F(Faults, HangMidKeepsItsSlot) {
  arm(R"({"kind":"hang_mid","after_tokens":2})");
  Reply& reply = done(chat("llama3.2", 10));
  EXPECT_FALSE(reply.complete);
  EXPECT_FALSE(reply.ended);
  EXPECT_EQ(fake->counts().running, 1u);
  leave(reply);
  loop.run();
  EXPECT_EQ(fake->counts().running, 0u);
}

TEST_F(Faults, HangMidWithATimeGoesOn) {
  arm(R"({"kind":"hang_mid","after_tokens":2,"ms":700})");
  const Reply& reply = done(chat("llama3.2", 10));
  EXPECT_TRUE(reply.complete);
  EXPECT_GE(reply.took(), 800ms);
  EXPECT_EQ(fake->counts().tokens, 10u);
}

TEST_F(Faults, Error500HasTheNamedText) {
  arm(R"({"kind":"error500","variant":"runner_stopped"})");
  const Reply& reply = done(chat());
  EXPECT_EQ(reply.status, 500);
  EXPECT_EQ(reply.body, "{\"error\":\"" + std::string(error_text("runner_stopped")) + "\"}");
  arm(R"({"kind":"error500","variant":"old_runner_terminated","match":"/v1/"})");
  EXPECT_NE(openai().body.find("llama runner process has terminated: exit status 2"),
            std::string::npos);
  arm(R"({"kind":"error500","status":429,"text":"slow down"})");
  EXPECT_EQ(whole().status, 429);
}

TEST_F(Faults, OutOfMemoryUnloadsEverything) {
  done(chat());
  arm(R"({"kind":"error500","variant":"oom"})");
  done(chat());
  EXPECT_EQ(done(get("/api/ps")).body, R"({"models":[]})");
}

TEST_F(Faults, BusyHasTwoSpaces) {
  arm(R"({"kind":"busy"})");
  const Reply& reply = done(chat());
  EXPECT_EQ(reply.status, 503);
  EXPECT_NE(reply.body.find("try again.  maximum"), std::string::npos);
}

TEST_F(Faults, ErrorMidIsALineInNativeStreams) {
  arm(R"({"kind":"error_mid","after_tokens":2})");
  const Reply& reply = done(chat("llama3.2", 10));
  EXPECT_TRUE(reply.complete);
  wire::StreamWatch watch(StreamShape::kNdjson);
  watch.feed(reply.body);
  EXPECT_TRUE(watch.failed());
  EXPECT_FALSE(watch.terminal());
  EXPECT_EQ(watch.records(), 3u);
}

TEST_F(Faults, ErrorMidSaysNothingInTheOtherDialects) {
  arm(R"({"kind":"error_mid","count":3,"after_tokens":2})");
  const Reply& chunks = openai();
  EXPECT_TRUE(chunks.complete);
  EXPECT_EQ(chunks.body.find("[DONE]"), std::string::npos);
  EXPECT_TRUE(chunks.body.ends_with(
      "\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n"));
  const Reply& named = anthropic();
  EXPECT_TRUE(named.complete);
  EXPECT_EQ(named.body.find("message_stop"), std::string::npos);
  const Reply& events = responses();
  EXPECT_TRUE(events.complete);
  EXPECT_EQ(events.body.find("response.completed"), std::string::npos);
}

TEST_F(Faults, ErrorMidOfADocumentIsA500) {
  arm(R"({"kind":"error_mid"})");
  EXPECT_EQ(whole().status, 500);
}

TEST_F(Faults, CutEndsCleanlyWithoutATerminalRecord) {
  arm(R"({"kind":"cut","count":2,"after_tokens":4})");
  const Reply& reply = done(chat("llama3.2", 10));
  EXPECT_TRUE(reply.complete);
  EXPECT_TRUE(reply.raw.ends_with("0\r\n\r\n"));
  EXPECT_EQ(reply.body.find("\"done\":true"), std::string::npos);
  const Reply& document = whole();
  EXPECT_EQ(document.status, 200);
  EXPECT_TRUE(wire::read_document(document.body).truncated);
}

TEST_F(Faults, CutRawEndsWithoutALastChunk) {
  arm(R"({"kind":"cut_raw","count":2,"after_tokens":4})");
  const Reply& reply = done(chat("llama3.2", 10));
  EXPECT_TRUE(reply.ended);
  EXPECT_FALSE(reply.complete);
  EXPECT_FALSE(reply.raw.ends_with("0\r\n\r\n"));
  const Reply& document = whole();
  EXPECT_TRUE(document.ended);
  EXPECT_FALSE(document.complete);
}

TEST_F(Faults, MissingDoneHasEveryToken) {
  arm(R"({"kind":"missing_done","count":2})");
  const Reply& reply = done(chat("llama3.2", 6));
  EXPECT_TRUE(reply.complete);
  EXPECT_EQ(fake->counts().tokens, 6u);
  EXPECT_EQ(reply.body.find("\"done\":true"), std::string::npos);
  const Reply& document = whole();
  EXPECT_TRUE(wire::read_document(document.body).truncated);
  EXPECT_NE(document.body.find(answer_text(1, "hi", 32)), std::string::npos);
}

TEST_F(Faults, CpuFallbackIsSlowAndShows) {
  done(chat());
  arm(R"({"kind":"cpu_fallback"})");
  const Reply& reply = done(chat("llama3.2", 10));
  EXPECT_GE(reply.took(), 2s);
  EXPECT_NE(done(get("/api/ps")).body.find(R"("size_vram":0)"), std::string::npos);
  fake->clear_faults();
  EXPECT_LT(done(chat("llama3.2", 10)).took(), 200ms);
}

TEST_F(Faults, SlowLoadAndSlowTokens) {
  arm(R"({"kind":"slow_load","ms":9000})");
  EXPECT_GE(done(chat()).took(), 9s);
  arm(R"({"kind":"slow_tokens","ms":500})");
  EXPECT_GE(done(chat("llama3.2", 10)).took(), 5s);
}

TEST_F(Faults, WedgesAreSilentExceptForControl) {
  arm(R"({"kind":"wedge_ps"})");
  EXPECT_EQ(done(get("/api/ps")).raw, "");
  EXPECT_EQ(done(get("/api/tags")).status, 200);
  arm(R"({"kind":"wedge_all"})");
  EXPECT_EQ(done(get("/")).raw, "");
  EXPECT_EQ(done(get("/fake/state")).status, 200);
  EXPECT_EQ(done(request("DELETE", "/fake/fault", "")).status, 200);
  EXPECT_EQ(done(get("/")).status, 200);
}

TEST_F(Faults, RefuseClosesThePortForAWhile) {
  arm(R"({"kind":"refuse","ms":1000})");
  Reply& refused = chat();
  loop.run_for(100ms);
  EXPECT_EQ(refused.raw, "");
  loop.run_for(1s);
  expect_healthy();
}

TEST_F(Faults, CrashResetsWhatIsOpen) {
  Reply& reply = chat("llama3.2", 100);
  loop.run_for(100ms);
  arm(R"({"kind":"crash","ms":1000})");
  loop.run_for(1ms);
  EXPECT_TRUE(reply.reset);
  EXPECT_EQ(fake->counts().running, 0u);
  EXPECT_EQ(fake->counts().cancelled, 0u);
  loop.run_for(2s);
  expect_healthy();
}

TEST_F(Faults, WhoAsksForACrashHearsTheAnswer) {
  const Reply& reply = post("/fake/fault", R"({"kind":"crash","ms":10})");
  loop.run_for(100ms);
  EXPECT_EQ(reply.status, 200);
  EXPECT_FALSE(reply.reset);
}

TEST_F(Faults, HtmlComesInsteadOfTags) {
  arm(R"({"kind":"html"})");
  const Reply& reply = done(get("/api/tags"));
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.type, "text/html");
}

TEST_F(Faults, BadHttpIsRefusedByAStrictReader) {
  for (const char* variant : {"cl_te", "two_lengths", "status_line", "bad_chunk", "huge_head",
                              "many_fields", "lf_only"}) {
    SCOPED_TRACE(variant);
    arm(std::string(R"({"kind":"bad_http","variant":")") + variant + "\"}");
    const Reply& reply = done(chat());
    EXPECT_FALSE(reply.raw.empty());
    EXPECT_TRUE(reply.malformed);
  }
  for (const char* variant : {"short_body", "no_head", "half_head", "http09"}) {
    SCOPED_TRACE(variant);
    arm(std::string(R"({"kind":"bad_http","variant":")") + variant + "\"}");
    const Reply& reply = done(chat());
    EXPECT_FALSE(reply.complete);
    EXPECT_TRUE(reply.ended);
  }
  arm(R"({"kind":"bad_http","variant":"101"})");
  EXPECT_EQ(done(chat()).status, 101);
  arm(R"({"kind":"bad_http","variant":"extra_bytes"})");
  EXPECT_EQ(done(chat()).raw.size() % 2, 0u);
  expect_healthy();
}

TEST_F(Faults, EndlessInterimHeadsEndWhenTheClientLeaves) {
  arm(R"({"kind":"bad_http","variant":"endless_1xx"})");
  Reply& reply = chat();
  loop.run_for(100ms);
  EXPECT_GT(reply.raw.size(), 1000u);
  leave(reply);
  loop.run();
}

TEST_F(Faults, MatchNarrowsToAPathOrAModel) {
  arm(R"({"kind":"busy","match":"/v1/"})");
  expect_healthy();
  EXPECT_EQ(openai().status, 503);
  arm(R"({"kind":"busy","model":"nomic"})");
  expect_healthy();
  fake->clear_faults();
}

TEST_F(Faults, NonsenseIsRefusedWithAReason) {
  const auto wrong = [this](const std::string& json) {
    const Reply& reply = done(post("/fake/fault", json));
    EXPECT_EQ(reply.status, 400) << json;
    return reply.body;
  };
  EXPECT_NE(wrong(R"({"kind":"explode"})").find("reset_mid"), std::string::npos);
  wrong("");
  wrong(R"({"kind":"reset","after":3})");
  wrong(R"({"kind":"reset","count":"many"})");
  EXPECT_NE(wrong(R"({"kind":"error500"})").find("runner_stopped"), std::string::npos);
  EXPECT_NE(wrong(R"({"kind":"bad_http"})").find("cl_te"), std::string::npos);
}

TEST_F(Faults, StateTellsWhatTheBalancerSent) {
  done(request("POST", "/api/generate", R"({"model":"llama3.2","prompt":"hi"})",
               "Host: 127.0.0.1:11434\r\nX-Trace: 1\r\nX-Trace: 2\r\n"));
  const std::string state = done(get("/fake/state")).body;
  EXPECT_NE(state.find(R"("x-trace":"1, 2")"), std::string::npos);
  EXPECT_NE(state.find(R"("/api/generate":1)"), std::string::npos);
  EXPECT_NE(state.find(R"("last_inference":{"method":"POST","path":"/api/generate")"),
            std::string::npos);
  EXPECT_TRUE(wire::read_document(state).valid);
}

TEST_F(Faults, ExitIsCalled) {
  bool called = false;
  fake->on_exit([&called] { called = true; });
  EXPECT_EQ(done(post("/fake/exit", "")).status, 200);
  EXPECT_TRUE(called);
}

}  // namespace
}  // namespace drover::fake
