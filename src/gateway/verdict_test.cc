#include "gateway/verdict.h"

#include <gtest/gtest.h>

namespace drover::gateway {
namespace {

using core::AttemptResult;

constexpr std::string_view kJson = "application/json; charset=utf-8";

Verdict verdict(std::string_view path, int status, std::string_view type, std::string_view body) {
  wire::RequestHead head;
  head.method = wire::Method::kPost;
  head.path = path;
  return judge(*match_route(head)->route, status, type, wire::read_document(body));
}

Verdict chat(int status, std::string_view body) {
  return verdict("/api/chat", status, kJson, body);
}

std::string error(std::string_view text) { return "{\"error\":\"" + std::string(text) + "\"}"; }

TEST(Verdict, AWholeDocumentIsServed) {
  EXPECT_EQ(chat(200, R"({"done":true})").result, AttemptResult::kServed);
  EXPECT_EQ(verdict("/api/embed", 200, kJson, R"({"embeddings":[]})").result,
            AttemptResult::kServed);
  EXPECT_EQ(verdict("/v1/chat/completions", 200, kJson, R"({"choices":[{"finish_reason":"stop"}]})")
                .result,
            AttemptResult::kServed);
}

TEST(Verdict, AnythingElseWithStatus200IsAFailure) {
  const std::string page = "<!doctype html>";
  for (const Verdict& bad :
       {verdict("/api/chat", 200, "text/html", page), chat(200, page), chat(200, ""),
        chat(200, R"({"done":true)"), chat(200, R"({"done":true} extra)"),
        verdict("/api/show", 200, "text/plain", "{}")}) {
    EXPECT_EQ(bad.result, AttemptResult::kFailed);
    EXPECT_TRUE(bad.retryable);
    EXPECT_FALSE(bad.detail.empty());
  }
}

TEST(Verdict, AGenerationThatWasCutIsAFailure) {
  EXPECT_EQ(chat(200, R"({"done":false})").result, AttemptResult::kFailed);
  EXPECT_EQ(
      verdict("/v1/chat/completions", 200, kJson, R"({"choices":[{"finish_reason":null}]})").result,
      AttemptResult::kFailed);
  EXPECT_EQ(verdict("/v1/messages", 200, kJson, R"({"stop_reason":null})").result,
            AttemptResult::kFailed);
  EXPECT_EQ(verdict("/api/show", 200, kJson, R"({"done":false})").result, AttemptResult::kServed)
      << "which is a rule for generations only";
}

TEST(Verdict, ATranscriptionIsPlainTextOrADocument) {
  const std::string_view path = "/v1/audio/transcriptions";
  EXPECT_EQ(verdict(path, 200, "text/plain", "hello").result, AttemptResult::kServed);
  EXPECT_EQ(verdict(path, 200, kJson, R"({"text":"hello"})").result, AttemptResult::kServed);
  for (const Verdict& bad : {verdict(path, 200, "text/html", "<html>"), verdict(path, 200, "", ""),
                             verdict(path, 200, kJson, "hello")}) {
    EXPECT_EQ(bad.result, AttemptResult::kFailed);
    EXPECT_TRUE(bad.retryable);
  }
}

TEST(Verdict, AnErrorWithStatus200IsAFailure) {
  const Verdict native = chat(200, error("CUDA error"));
  EXPECT_EQ(native.result, AttemptResult::kFailed);
  EXPECT_TRUE(native.retryable);
  EXPECT_EQ(native.detail, "CUDA error");
  EXPECT_EQ(chat(200, error("model runner has unexpectedly stopped")).result, AttemptResult::kDied);
  EXPECT_EQ(chat(200, R"({"error":null,"done":true})").result, AttemptResult::kServed);
  EXPECT_EQ(verdict("/v1/responses", 200, kJson,
                    R"({"object":"response","status":"failed","error":{"message":"no"}})")
                .result,
            AttemptResult::kServed)
      << "which is what the client asked for";
}

TEST(Verdict, WhatNoOllamaAnswersIsKnownByItsHead) {
  const auto judged = [](int status, std::string_view name, std::string_view value) {
    wire::ResponseHead head;
    head.status = status;
    head.fields = {{name, value}};
    return judge_answer_head(head);
  };
  EXPECT_TRUE(judged(200, "Content-Encoding", "Identity").ok());
  EXPECT_TRUE(judged(404, "X", "gzip").ok());
  for (const std::string_view coding : {"gzip", "br", "zstd", "identity, gzip", "x"}) {
    const Result<void> refused = judged(200, "content-ENCODING", coding);
    ASSERT_FALSE(refused.ok()) << coding;
    EXPECT_EQ(refused.error().origin, Origin::kInstance);
    EXPECT_EQ(refused.error().retry, Retry::kSafe);
  }
  for (const int status : {201, 204, 206, 300, 302, 304, 307, 399}) {
    EXPECT_FALSE(judged(status, "X", "y").ok()) << status;
  }
}

TEST(Verdict, AMissingModelIsLookedForElsewhere) {
  const Verdict missing = chat(404, error("model 'x' not found"));
  EXPECT_EQ(missing.result, AttemptResult::kNoModel);
  EXPECT_TRUE(missing.retryable);
  EXPECT_EQ(missing.detail, "model 'x' not found");
}

TEST(Verdict, AMissingRouteSaysNothingAboutTheModel) {
  EXPECT_EQ(verdict("/v1/messages", 404, "text/plain", "404 page not found").result,
            AttemptResult::kServed);
}

TEST(Verdict, AFullInstanceIsBusyAndNotIll) {
  for (const Verdict& full :
       {chat(503, error("server busy, please try again")), chat(503, ""),
        chat(500, error("no slots available after 10 retries")),
        chat(500, error("unexpected server status: llm busy - no slots available"))}) {
    EXPECT_EQ(full.result, AttemptResult::kBusy);
    EXPECT_TRUE(full.retryable);
  }
}

TEST(Verdict, AnInternalErrorIsAFailureWorthAnotherTry) {
  for (const Verdict& ill : {chat(500, error("llama runner process has terminated: exit status 2")),
                             chat(500, "not even JSON"), chat(500, "")}) {
    EXPECT_EQ(ill.result, AttemptResult::kFailed);
    EXPECT_TRUE(ill.retryable);
    EXPECT_FALSE(ill.detail.empty());
  }
}

TEST(Verdict, ADeadRunnerTookAllItsRequestsWithIt) {
  for (const Verdict& dead :
       {chat(500, error("model runner has unexpectedly stopped, this may be due to resource "
                        "limitations or an internal error, check ollama server logs for details")),
        chat(500, error("llama-server process no longer running: 1 error loading model"))}) {
    EXPECT_EQ(dead.result, AttemptResult::kDied);
    EXPECT_TRUE(dead.retryable);
  }
  EXPECT_EQ(judge_error("an error was encountered while running the model: CUDA error"),
            AttemptResult::kFailed);
}

TEST(Verdict, WhatEveryInstanceWouldRepeatIsPassedOn) {
  EXPECT_EQ(chat(500, error("this model may be incompatible with your version of Ollama")).result,
            AttemptResult::kServed);
  EXPECT_EQ(chat(500, error("unsupported model architecture: 'x'")).result, AttemptResult::kServed);
}

TEST(Verdict, TheClientsOwnMistakesArePassedOn) {
  for (const int status : {400, 401, 403, 405, 413, 415, 422, 429, 502, 504}) {
    const Verdict own = chat(status, error("bad"));
    EXPECT_EQ(own.result, AttemptResult::kServed) << status;
    EXPECT_FALSE(own.retryable) << status;
  }
}

}  // namespace
}  // namespace drover::gateway
