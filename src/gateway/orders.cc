#include "gateway/orders.h"

#include <fmt/format.h>

#include <memory>

#include "wire/dialect.h"
#include "wire/model_request.h"

namespace drover::gateway {
namespace {

// A Modelfile with its messages and licences; files travel as blobs.
constexpr std::uint64_t kMaxOrderBytes = 16 * 1024 * 1024;
// An unload names a model and hardly anything else.
constexpr std::uint64_t kMaxUnloadBytes = 64 * 1024;

// The kept body with its edits, whole.
Result<std::string> text_of(const BodyStore& body) {
  std::string text;
  std::string room(64 * 1024, '\0');
  BodyStore::Cursor cursor;
  for (;;) {
    Result<std::string_view> piece = body.read(cursor, room);
    if (!piece) return std::move(piece).error();
    if (piece->empty()) return text;
    text.append(*piece);
  }
}

jobs::Verb verb_of(std::string_view path) {
  if (path == "/api/pull") return jobs::Verb::kPull;
  if (path == "/api/push") return jobs::Verb::kPush;
  if (path == "/api/create") return jobs::Verb::kCreate;
  if (path == "/api/copy") return jobs::Verb::kCopy;
  if (path == "/api/delete") return jobs::Verb::kDelete;
  return jobs::Verb::kUnload;
}

// Only what drover has read reaches an instance, so both understand the same.
std::string body_of(jobs::Verb verb, const wire::ModelRequest& request, std::string text) {
  const std::string model = wire::json_quote(request.model);
  switch (verb) {
    case jobs::Verb::kPull:
    case jobs::Verb::kPush:
      return fmt::format("{{\"model\":{}{},\"stream\":true}}", model,
                         request.insecure ? ",\"insecure\":true" : "");
    case jobs::Verb::kCopy:
      return fmt::format("{{\"source\":{},\"destination\":{}}}", wire::json_quote(request.source),
                         wire::json_quote(request.destination));
    case jobs::Verb::kDelete:
      return fmt::format("{{\"model\":{}}}", model);
    default:
      return text;
  }
}

}  // namespace

bool is_order(const Exchange& exchange) {
  const Route& route = *exchange.route;
  if (route.treatment == Treatment::kOrder) return true;
  const bool may_unload = exchange.empty_prompt && route.shape == StreamShape::kNdjson &&
                          exchange.kept->body.received_bytes() <= kMaxUnloadBytes;
  if (!may_unload) return false;
  const Result<std::string> text = text_of(exchange.kept->body);
  return text.ok() && wire::asks_to_unload(*text);
}

Result<jobs::Order> read_order(Exchange& exchange) {
  if (exchange.kept->body.received_bytes() > kMaxOrderBytes) {
    return Error{ErrorKind::kTooLarge, Origin::kClient, Retry::kNever,
                 "a request that manages models has at most 16 MiB; files are sent as blobs"};
  }
  Result<std::string> text = text_of(exchange.kept->body);
  if (!text) return std::move(text).error();
  Result<wire::ModelRequest> request = wire::read_model_request(*text);
  if (!request) return std::move(request).error();
  jobs::Order order;
  order.path = exchange.route->path;
  order.verb = verb_of(order.path);
  const bool copies = order.verb == jobs::Verb::kCopy;
  order.shown = copies ? request->source : request->model;
  order.model = ModelName::canonical(copies ? request->destination : request->model);
  order.insecure = request->insecure;
  if (copies) order.from = ModelName::canonical(request->source);
  if (order.verb == jobs::Verb::kCreate) order.from = ModelName::canonical(request->from);
  if (order.verb == jobs::Verb::kPush) order.from = order.model;
  order.body = body_of(order.verb, *request, *std::move(text));
  exchange.ask.model = order.model;
  exchange.ask.streaming = exchange.route->treatment == Treatment::kOrder &&
                           order.verb <= jobs::Verb::kCreate && request->stream;
  return order;
}

}  // namespace drover::gateway
