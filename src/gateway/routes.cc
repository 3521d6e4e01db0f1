#include "gateway/routes.h"

#include <array>
#include <string>

namespace drover::gateway {
namespace {

using wire::Method;

struct Entry {
  Route route;
  bool get;   // GET
  bool head;  // HEAD
  bool post;  // POST
};

constexpr Route own(std::string_view path, Treatment treatment,
                    Dialect dialect = Dialect::kNative) {
  return {path, treatment, dialect, StreamShape::kNone, false, false};
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
    Entry{own("/", Treatment::kAlive), true, true, false},
    Entry{own("/api/version", Treatment::kVersion), true, true, false},
    Entry{own("/api/tags", Treatment::kTags), true, true, false},
    Entry{own("/api/ps", Treatment::kPs), true, false, false},
    Entry{own("/v1/models", Treatment::kModels, Dialect::kOpenAi), true, false, false},
    Entry{streams("/api/generate", Dialect::kNative, StreamShape::kNdjson, true), false, false,
          true},
    Entry{streams("/api/chat", Dialect::kNative, StreamShape::kNdjson, true), false, false, true},
    Entry{document("/api/embed", Dialect::kNative), false, false, true},
    Entry{document("/api/embeddings", Dialect::kNative), false, false, true},
    Entry{Route{"/api/show", Treatment::kJsonBody, Dialect::kNative}, false, false, true},
    Entry{streams("/v1/chat/completions", Dialect::kOpenAi, StreamShape::kOpenAiSse, false), false,
          false, true},
    Entry{streams("/v1/completions", Dialect::kOpenAi, StreamShape::kOpenAiSse, false), false,
          false, true},
    Entry{document("/v1/embeddings", Dialect::kOpenAi), false, false, true},
    Entry{streams("/v1/responses", Dialect::kOpenAi, StreamShape::kResponses, false), false, false,
          true},
    Entry{streams("/v1/messages", Dialect::kAnthropic, StreamShape::kAnthropic, false), false,
          false, true},
    Entry{Route{"/v1/audio/transcriptions", Treatment::kMultipart, Dialect::kOpenAi,
                StreamShape::kNone, false, true},
          false, false, true},
};

constexpr std::string_view kModelPrefix = "/v1/models/";
constexpr Entry kModelEntry{Route{"/v1/models/:model", Treatment::kPathModel, Dialect::kOpenAi},
                            true, false, false};

// Ollama's management routes change one store; asking one of several at random would be a lie.
constexpr std::array<std::string_view, 6> kManagement = {"/api/pull", "/api/push",   "/api/create",
                                                         "/api/copy", "/api/delete", "/api/blobs/"};

bool allows(const Entry& entry, Method method) {
  switch (method) {
    case Method::kGet:
      return entry.get;
    case Method::kHead:
      return entry.head;
    case Method::kPost:
      return entry.post;
    default:
      return false;
  }
}

std::string_view methods_of(const Entry& entry) {
  if (entry.post) return "POST";
  return entry.head ? "GET, HEAD" : "GET";
}

Error not_found(std::string_view path) {
  for (std::string_view managed : kManagement) {
    if (path.starts_with(managed)) {
      return {ErrorKind::kNotFound, Origin::kClient, Retry::kNever,
              "drover does not change model stores: run this against one instance, for example "
              "with OLLAMA_HOST set to its own address"};
    }
  }
  return {ErrorKind::kNotFound, Origin::kClient, Retry::kNever, "404 page not found"};
}

Result<Match> check_method(const Entry& entry, std::string_view segment, Method method) {
  if (!allows(entry, method)) {
    return Error{ErrorKind::kMethodNotAllowed, Origin::kClient, Retry::kNever,
                 "method not allowed: " + std::string(entry.route.path) + " takes " +
                     std::string(methods_of(entry))};
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
  if (!path.starts_with(kModelPrefix)) return {};
  const std::string_view segment = path.substr(kModelPrefix.size());
  const bool one = !segment.empty() && segment.find('/') == std::string_view::npos;
  return one ? Found{&kModelEntry, segment} : Found{};
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
  if (found.entry == nullptr) return not_found(*path);
  return check_method(*found.entry, found.segment, head.method);
}

std::string_view allowed_methods(std::string_view path) {
  const Result<std::string_view> canonical = wire::canonical_path(path);
  const Found found = canonical ? find_entry(*canonical) : Found{};
  return found.entry != nullptr ? methods_of(*found.entry) : std::string_view();
}

}  // namespace drover::gateway
