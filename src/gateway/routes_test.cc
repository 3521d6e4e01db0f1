#include "gateway/routes.h"

#include <gtest/gtest.h>

#include "gateway/cors.h"

namespace drover::gateway {
namespace {

using wire::Method;

Result<Match> match(Method method, std::string_view path) {
  wire::RequestHead head;
  head.method = method;
  head.path = path;
  return match_route(head);
}

struct Row {
  std::string_view path;
  Treatment treatment;
  Dialect dialect;
  StreamShape shape;
  bool streams_by_default;
  bool inference;
  std::string_view allow;
};

constexpr Row kTable[] = {
    {"/", Treatment::kAlive, Dialect::kNative, StreamShape::kNone, false, false, "GET, HEAD"},
    {"/api/version", Treatment::kVersion, Dialect::kNative, StreamShape::kNone, false, false,
     "GET, HEAD"},
    {"/api/tags", Treatment::kTags, Dialect::kNative, StreamShape::kNone, false, false,
     "GET, HEAD"},
    {"/api/ps", Treatment::kPs, Dialect::kNative, StreamShape::kNone, false, false, "GET"},
    {"/v1/models", Treatment::kModels, Dialect::kOpenAi, StreamShape::kNone, false, false, "GET"},
    {"/v1/models/llama3.2:1b", Treatment::kPathModel, Dialect::kOpenAi, StreamShape::kNone, false,
     false, "GET"},
    {"/api/generate", Treatment::kJsonBody, Dialect::kNative, StreamShape::kNdjson, true, true,
     "POST"},
    {"/api/chat", Treatment::kJsonBody, Dialect::kNative, StreamShape::kNdjson, true, true, "POST"},
    {"/api/embed", Treatment::kJsonBody, Dialect::kNative, StreamShape::kNone, false, true, "POST"},
    {"/api/embeddings", Treatment::kJsonBody, Dialect::kNative, StreamShape::kNone, false, true,
     "POST"},
    {"/api/show", Treatment::kJsonBody, Dialect::kNative, StreamShape::kNone, false, false, "POST"},
    {"/v1/chat/completions", Treatment::kJsonBody, Dialect::kOpenAi, StreamShape::kOpenAiSse, false,
     true, "POST"},
    {"/v1/completions", Treatment::kJsonBody, Dialect::kOpenAi, StreamShape::kOpenAiSse, false,
     true, "POST"},
    {"/v1/embeddings", Treatment::kJsonBody, Dialect::kOpenAi, StreamShape::kNone, false, true,
     "POST"},
    {"/v1/responses", Treatment::kJsonBody, Dialect::kOpenAi, StreamShape::kResponses, false, true,
     "POST"},
    {"/v1/messages", Treatment::kJsonBody, Dialect::kAnthropic, StreamShape::kAnthropic, false,
     true, "POST"},
    {"/v1/audio/transcriptions", Treatment::kMultipart, Dialect::kOpenAi, StreamShape::kNone, false,
     true, "POST"},
    {"/api/pull", Treatment::kOrder, Dialect::kNative, StreamShape::kNdjson, true, false, "POST"},
    {"/api/push", Treatment::kOrder, Dialect::kNative, StreamShape::kNdjson, true, false, "POST"},
    {"/api/create", Treatment::kOrder, Dialect::kNative, StreamShape::kNdjson, true, false, "POST"},
    {"/api/copy", Treatment::kOrder, Dialect::kNative, StreamShape::kNone, false, false, "POST"},
    {"/api/delete", Treatment::kOrder, Dialect::kNative, StreamShape::kNone, false, false,
     "DELETE"},
    {"/api/blobs/sha256:00", Treatment::kBlob, Dialect::kNative, StreamShape::kNone, false, false,
     "HEAD, POST"},
};

constexpr Method kMethods[] = {Method::kGet,   Method::kHead,   Method::kPost,    Method::kPut,
                               Method::kPatch, Method::kDelete, Method::kOptions, Method::kOther};

std::string_view word(Method method) {
  switch (method) {
    case Method::kGet:
      return "GET";
    case Method::kHead:
      return "HEAD";
    case Method::kPost:
      return "POST";
    case Method::kDelete:
      return "DELETE";
    default:
      return "PUT";  // nobody takes it
  }
}

bool is_allowed(const Row& row, Method method) {
  return row.allow.find(word(method)) != std::string_view::npos;
}

Method allowed_by(const Row& row) {
  for (const Method method : {Method::kGet, Method::kPost, Method::kDelete}) {
    if (is_allowed(row, method)) return method;
  }
  return Method::kHead;
}

TEST(Routes, EveryPathIsTreatedAsTheTableSays) {
  for (const Row& row : kTable) {
    const Result<Match> found = match(allowed_by(row), row.path);
    ASSERT_TRUE(found.ok()) << row.path;
    EXPECT_EQ(found->route->treatment, row.treatment) << row.path;
    EXPECT_EQ(found->dialect, row.dialect) << row.path;
    EXPECT_EQ(found->route->dialect, row.dialect) << row.path;
    EXPECT_EQ(found->route->shape, row.shape) << row.path;
    EXPECT_EQ(found->route->streams_by_default, row.streams_by_default) << row.path;
    EXPECT_EQ(found->route->inference, row.inference) << row.path;
    EXPECT_EQ(dialect_of_path(row.path), row.dialect) << row.path;
  }
}

TEST(Routes, EveryOtherMethodIsNotAllowed) {
  for (const Row& row : kTable) {
    for (const Method method : kMethods) {
      const Result<Match> found = match(method, row.path);
      ASSERT_EQ(found.ok(), is_allowed(row, method)) << row.path << " " << int(method);
      if (!found.ok()) {
        EXPECT_EQ(found.error().kind, ErrorKind::kMethodNotAllowed);
      }
    }
    EXPECT_EQ(allowed_methods(row.path), row.allow) << row.path;
  }
}

TEST(Routes, UnknownPathsAreNotFoundWithAnyMethod) {
  for (std::string_view path : {"/api",
                                "/api/",
                                "/api/chat/",
                                "/API/chat",
                                "//",
                                "//api/chat",
                                "/api//chat",
                                "/api/./chat",
                                "/api/../api/chat",
                                "/api/%63hat",
                                "/v1",
                                "/v1/models/",
                                "/v1/models/a/b",
                                "/v1/models/..",
                                "/v1/messages/count_tokens",
                                "/metrics",
                                "/fake/state",
                                "*",
                                "api/chat",
                                "/api/blobs/",
                                "/api/blobs/a/b",
                                "/api/pull/"}) {
    for (const Method method : kMethods) {
      const Result<Match> found = match(method, path);
      ASSERT_FALSE(found.ok()) << path;
      EXPECT_EQ(found.error().kind, ErrorKind::kNotFound) << path;
    }
    EXPECT_EQ(allowed_methods(path), "") << path;
  }
}

TEST(Routes, WhatChangesAStoreHasAScopeOfItsOwn) {
  for (const Row& row : kTable) {
    const bool manages = row.treatment == Treatment::kOrder || row.treatment == Treatment::kBlob;
    const Scope scope = match(allowed_by(row), row.path)->route->scope;
    if (row.treatment == Treatment::kIdentity) continue;
    EXPECT_EQ(scope, manages ? Scope::kManage : Scope::kUse) << row.path;
  }
}

TEST(Routes, AccountsHaveAScopeOfTheirOwn) {
  const auto scope_of = [](Method method, std::string_view path) {
    return match(method, path)->route->scope;
  };
  EXPECT_EQ(scope_of(Method::kPost, "/api/me"), Scope::kIdentity);
  EXPECT_EQ(scope_of(Method::kPost, "/api/signout"), Scope::kIdentity);
  EXPECT_EQ(scope_of(Method::kDelete, "/api/user/keys/abc"), Scope::kIdentity);
  EXPECT_EQ(scope_of(Method::kPost, "/api/experimental/web_fetch"), Scope::kExperimental);
  EXPECT_EQ(scope_of(Method::kGet, "/api/status"), Scope::kUse);
  EXPECT_FALSE(match(Method::kDelete, "/api/user/keys/"));
  EXPECT_FALSE(match(Method::kGet, "/api/me"));
}

TEST(Routes, TheModelOfAPathStaysEncoded) {
  const Result<Match> found = match(Method::kGet, "/v1/models/qwen3%3A8b");
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->segment, "qwen3%3A8b");
}

TEST(Routes, AWrongPathHasTheDialectOfItsFamily) {
  EXPECT_EQ(dialect_of_path("/v1/nothing"), Dialect::kOpenAi);
  EXPECT_EQ(dialect_of_path("/v1"), Dialect::kOpenAi);
  EXPECT_EQ(dialect_of_path("/v1/messages/batches"), Dialect::kAnthropic);
  EXPECT_EQ(dialect_of_path("/v1/messagesx"), Dialect::kOpenAi);
  EXPECT_EQ(dialect_of_path("/v10"), Dialect::kNative);
  EXPECT_EQ(dialect_of_path("/nothing"), Dialect::kNative);
}

wire::RequestHead asks_for_headers(std::string_view headers) {
  wire::RequestHead head;
  head.fields.push_back({"Access-Control-Request-Headers", headers});
  return head;
}

TEST(Cors, TheOriginIsNamedAndCachesAreTold) {
  const std::string fields = cors_fields("http://localhost:3000");
  EXPECT_NE(fields.find("Access-Control-Allow-Origin: http://localhost:3000\r\n"),
            std::string::npos);
  EXPECT_NE(fields.find("Vary: Origin\r\n"), std::string::npos);
  EXPECT_NE(fields.find("X-Request-ID"), std::string::npos);
  EXPECT_TRUE(fields.ends_with("\r\n"));
}

TEST(Cors, ThePreflightRepeatsTheHeadersThatItWasAskedFor) {
  const std::string fields = preflight_fields(asks_for_headers("authorization, content-type"));
  EXPECT_NE(fields.find("Access-Control-Allow-Headers: authorization, content-type\r\n"),
            std::string::npos);
  EXPECT_NE(fields.find("Access-Control-Allow-Methods: GET, HEAD, POST, DELETE, OPTIONS\r\n"),
            std::string::npos);
}

TEST(Cors, ThePreflightRepeatsNothingThatIsNoListOfTokens) {
  for (const std::string& asked : {std::string("a: b"), std::string("<script>"), std::string("a;b"),
                                   std::string(1025, 'a'), std::string()}) {
    EXPECT_EQ(preflight_fields(asks_for_headers(asked)).find("Allow-Headers"), std::string::npos)
        << asked;
  }
  EXPECT_NE(preflight_fields(asks_for_headers(std::string(1024, 'a'))).find("Allow-Headers"),
            std::string::npos);
}

TEST(Cors, AKnownPathIsOneThatSomeMethodReaches) {
  for (const Row& row : kTable) EXPECT_TRUE(is_known_path(row.path)) << row.path;
  EXPECT_FALSE(is_known_path("/api/nothing"));
  EXPECT_TRUE(is_known_path("*")) << "OPTIONS of the whole server; no other method gets that far";
}

}  // namespace
}  // namespace drover::gateway
