#include "gateway/routes.h"

#include <array>
#include <string>
#include <utility>

namespace drover::gateway {
namespace {

using wire::Method;

// As the Allow field lists them.
constexpr std::string_view kGet = "GET";
constexpr std::string_view kGetHead = "GET, HEAD";
constexpr std::string_view kPost = "POST";
constexpr std::string_view kDelete = "DELETE";
constexpr std::string_view kHeadPost = "HEAD, POST";

struct Entry {
  Route route;
  std::string_view methods;
};

constexpr Route own(std::string_view path, Treatment treatment,
                    Dialect dialect = Dialect::kNative) {
  return {path, treatment, dialect, StreamShape::kNone, false, false};
}

// A route that changes models, everywhere.
constexpr Route order(std::string_view path, StreamShape shape = StreamShape::kNone) {
  return {path,  Treatment::kOrder, Dialect::kNative, shape, shape != StreamShape::kNone,
          false, Scope::kManage};
}

// A route that concerns an account.
constexpr Route account(std::string_view path, Scope scope) {
  return {path, Treatment::kIdentity, Dialect::kNative, StreamShape::kNone, false, false, scope};
}

// A route that generates and can stream.
constexpr Route streams(std::string_view path, Dialect dialect, StreamShape shape,
                        bool by_default) {
  return {path, Treatment::kJsonBody, dialect, shape, by_default, true};
}

// A route whose answer is always one document.
constexpr Route document(std::string_view path, Dialect dialect) {
  return {path, Treatment::kJsonBody, dialect, StreamShape::kNone, false, true};
}

constexpr std::array kRoutes = {
    Entry{own("/", Treatment::kAlive), kGetHead},
    Entry{own("/api/version", Treatment::kVersion), kGetHead},
    Entry{own("/api/tags", Treatment::kTags), kGetHead},
    Entry{own("/api/ps", Treatment::kPs), kGet},
    Entry{own("/v1/models", Treatment::kModels, Dialect::kOpenAi), kGet},
    Entry{streams("/api/generate", Dialect::kNative, StreamShape::kNdjson, true), kPost},
    Entry{streams("/api/chat", Dialect::kNative, StreamShape::kNdjson, true), kPost},
    Entry{document("/api/embed", Dialect::kNative), kPost},
    Entry{document("/api/embeddings", Dialect::kNative), kPost},
    Entry{Route{"/api/show", Treatment::kJsonBody, Dialect::kNative}, kPost},
    Entry{streams("/v1/chat/completions", Dialect::kOpenAi, StreamShape::kOpenAiSse, false), kPost},
    Entry{streams("/v1/completions", Dialect::kOpenAi, StreamShape::kOpenAiSse, false), kPost},
    Entry{document("/v1/embeddings", Dialect::kOpenAi), kPost},
    Entry{streams("/v1/responses", Dialect::kOpenAi, StreamShape::kResponses, false), kPost},
    Entry{streams("/v1/messages", Dialect::kAnthropic, StreamShape::kAnthropic, false), kPost},
    Entry{Route{"/v1/audio/transcriptions", Treatment::kMultipart, Dialect::kOpenAi,
                StreamShape::kNone, false, true},
          kPost},
    Entry{order("/api/pull", StreamShape::kNdjson), kPost},
    Entry{order("/api/push", StreamShape::kNdjson), kPost},
    Entry{order("/api/create", StreamShape::kNdjson), kPost},
    Entry{order("/api/copy"), kPost},
    Entry{order("/api/delete"), kDelete},
    Entry{Route{"/api/status", Treatment::kIdentity, Dialect::kNative}, kGet},
    Entry{account("/api/me", Scope::kIdentity), kPost},
    Entry{account("/api/signout", Scope::kIdentity), kPost},
    Entry{account("/api/experimental/web_search", Scope::kExperimental), kPost},
    Entry{account("/api/experimental/web_fetch", Scope::kExperimental), kPost},
    Entry{account("/api/experimental/model-recommendations", Scope::kExperimental), kGet},
};

constexpr std::string_view kModelPrefix = "/v1/models/";
constexpr Entry kModelEntry{Route{"/v1/models/:model", Treatment::kPathModel, Dialect::kOpenAi},
                            kGet};

constexpr std::string_view kBlobPrefix = "/api/blobs/";
constexpr Entry kBlobEntry{Route{"/api/blobs/:digest", Treatment::kBlob, Dialect::kNative,
                                 StreamShape::kNone, false, false, Scope::kManage},
                           kHeadPost};

constexpr std::string_view kKeyPrefix = "/api/user/keys/";
constexpr Entry kKeyEntry{account("/api/user/keys/:key", Scope::kIdentity), kDelete};

bool allows(const Entry& entry, Method method) {
  switch (method) {
    case Method::kGet:
      return entry.methods == kGet || entry.methods == kGetHead;
    case Method::kHead:
      return entry.methods == kGetHead || entry.methods == kHeadPost;
    case Method::kPost:
      return entry.methods == kPost || entry.methods == kHeadPost;
    case Method::kDelete:
      return entry.methods == kDelete;
    default:
      return false;
  }
}

Result<Match> check_method(const Entry& entry, std::string_view segment, Method method) {
  if (!allows(entry, method)) {
    return Error{ErrorKind::kMethodNotAllowed, Origin::kClient, Retry::kNever,
                 "method not allowed: " + std::string(entry.route.path) + " takes " +
                     std::string(entry.methods)};
  }
  return Match{&entry.route, segment, entry.route.dialect};
}

struct Found {
  const Entry* entry = nullptr;
  std::string_view segment;
};

Found find_entry(std::string_view path) {
  for (const Entry& entry : kRoutes) {
    if (entry.route.path == path) return {&entry, {}};
  }
  constexpr std::array<std::pair<std::string_view, const Entry*>, 3> kWithSegment = {
      {{kBlobPrefix, &kBlobEntry}, {kModelPrefix, &kModelEntry}, {kKeyPrefix, &kKeyEntry}}};
  for (const auto& [prefix, entry] : kWithSegment) {
    if (!path.starts_with(prefix)) continue;
    const std::string_view segment = path.substr(prefix.size());
    const bool one = !segment.empty() && segment.find('/') == std::string_view::npos;
    if (one) return {entry, segment};
  }
  return {};
}

}  // namespace

Dialect dialect_of_path(std::string_view path) {
  if (path == "/v1/messages" || path.starts_with("/v1/messages/")) return Dialect::kAnthropic;
  if (path == "/v1" || path.starts_with("/v1/")) return Dialect::kOpenAi;
  return Dialect::kNative;
}

Result<Match> match_route(const wire::RequestHead& head) {
  Result<std::string_view> path = wire::canonical_path(head.path);
  if (!path) return std::move(path).error();
  const Found found = find_entry(*path);
  if (found.entry == nullptr && *path == "/v1/messages/count_tokens") {
    return Error{ErrorKind::kNotFound, Origin::kClient, Retry::kNever,
                 "tokens are not counted before a request, because Ollama cannot; each answer says "
                 "in its usage how many there were"};
  }
  if (found.entry == nullptr) {
    return Error{ErrorKind::kNotFound, Origin::kClient, Retry::kNever, "404 page not found"};
  }
  return check_method(*found.entry, found.segment, head.method);
}

std::string_view allowed_methods(std::string_view path) {
  const Result<std::string_view> canonical = wire::canonical_path(path);
  const Found found = canonical ? find_entry(*canonical) : Found{};
  return found.entry != nullptr ? found.entry->methods : std::string_view();
}

}  // namespace drover::gateway
