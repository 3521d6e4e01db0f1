#pragma once
// Every path that clients may ask for, and how each is treated. Nothing that is not in this table
// ever reaches an instance.

#include <cstdint>
#include <string_view>

#include "base/ask.h"
#include "base/result.h"
#include "wire/http_head.h"

namespace drover::gateway {

// What happens to a request of this route.
enum class Treatment : std::uint8_t {
  kAlive,      // "Ollama is running", by drover
  kVersion,    // by drover: the lowest version of the fleet
  kTags,       // by drover: union of the catalogues
  kPs,         // by drover: what is loaded, of all instances
  kModels,     // by drover: the OpenAI list
  kJsonBody,   // relayed; the model is named in the JSON body
  kMultipart,  // relayed; the model is a part of a multipart form
  kPathModel,  // relayed; the model is the last segment of the path
  kOrder,      // by drover, for the whole fleet; the models are named in the JSON body
  kBlob,       // streamed unread to every store; the digest is the last segment of the path
  kIdentity,   // streamed unread to the instance that has the account
};

// What one has to be allowed to do for it.
enum class Scope : std::uint8_t {
  kUse,           // run models and see which there are
  kManage,        // change the stores
  kIdentity,      // the account of an instance at ollama.com
  kExperimental,  // what Ollama itself calls so
};

struct Route {
  std::string_view path;  // canonical; the label in metrics and logs
  Treatment treatment;
  Dialect dialect;
  StreamShape shape = StreamShape::kNone;  // of a streamed answer
  bool streams_by_default = false;         // when the body does not say
  bool inference = false;                  // generates: the terminal rules apply
  Scope scope = Scope::kUse;
};

// Errors: kNotFound, kMethodNotAllowed. `dialect` is set in either case, from the path alone.
struct Match {
  const Route* route = nullptr;
  std::string_view segment;  // with kPathModel and kBlob: the last one, still percent-encoded
  Dialect dialect = Dialect::kNative;
};
Result<Match> match_route(const wire::RequestHead& head);
// For the Allow field, such as "GET, HEAD" or "POST"; empty for unknown paths.
std::string_view allowed_methods(std::string_view path);
Dialect dialect_of_path(std::string_view path);

}  // namespace drover::gateway
