#include "fake_ollama/routes.h"

#include <fmt/format.h>

#include <array>
#include <optional>

#include "fake_ollama/bad_http.h"
#include "fake_ollama/control.h"
#include "fake_ollama/guard.h"
#include "fake_ollama/inference.h"
#include "fake_ollama/listing.h"
#include "fake_ollama/store.h"
#include "fake_ollama/writer.h"

namespace drover::fake {
namespace {

using wire::Method;

struct RouteRow {
  std::string_view path;  // one that ends with '/' and is longer matches one more segment
  Method method;
  bool head_too;
  Route route;
};

constexpr std::array<RouteRow, 23> kRoutes = {{
    {"/", Method::kGet, true, Route::kRoot},
    {"/api/version", Method::kGet, true, Route::kVersion},
    {"/api/status", Method::kGet, false, Route::kStatus},
    {"/api/tags", Method::kGet, true, Route::kTags},
    {"/api/ps", Method::kGet, false, Route::kPs},
    {"/api/show", Method::kPost, false, Route::kShow},
    {"/api/generate", Method::kPost, false, Route::kGenerate},
    {"/api/chat", Method::kPost, false, Route::kChat},
    {"/api/embed", Method::kPost, false, Route::kEmbed},
    {"/api/embeddings", Method::kPost, false, Route::kEmbeddings},
    {"/api/pull", Method::kPost, false, Route::kPull},
    {"/api/push", Method::kPost, false, Route::kPush},
    {"/api/create", Method::kPost, false, Route::kCreate},
    {"/api/copy", Method::kPost, false, Route::kCopy},
    {"/api/delete", Method::kDelete, false, Route::kDelete},
    {"/api/blobs/", Method::kPost, true, Route::kBlob},
    {"/v1/chat/completions", Method::kPost, false, Route::kV1Chat},
    {"/v1/completions", Method::kPost, false, Route::kV1Completions},
    {"/v1/embeddings", Method::kPost, false, Route::kV1Embeddings},
    {"/v1/models", Method::kGet, false, Route::kV1Models},
    {"/v1/models/", Method::kGet, false, Route::kV1Model},
    {"/v1/responses", Method::kPost, false, Route::kV1Responses},
    {"/v1/messages", Method::kPost, false, Route::kV1Messages},
}};

bool path_matches(const RouteRow& row, std::string_view path) {
  const bool takes_segment = row.path.size() > 1 && row.path.ends_with('/');
  if (!takes_segment) return path == row.path;
  if (!path.starts_with(row.path) || path.size() == row.path.size()) return false;
  return path.find('/', row.path.size()) == std::string_view::npos;
}

const RouteRow* row_of(std::string_view path) {
  for (const RouteRow& row : kRoutes) {
    if (path_matches(row, path)) return &row;
  }
  return nullptr;
}

void note(State& state, const Request& request, const RouteRow* row) {
  Seen seen{request.method_text, request.path, request.fields, request.body_bytes, {}};
  constexpr std::size_t kBodyKept = 4096;
  const bool inference = row != nullptr && is_inference(row->route);
  if (inference) {
    ++state.requests;
    seen.body = request.body.substr(0, kBodyKept);
    state.last_inference = seen;
  }
  // Paths come from outside: a scan of many must not grow the map without end.
  constexpr std::size_t kRoutesKept = 1000;
  if (state.routes.size() < kRoutesKept || state.routes.contains(request.path)) {
    ++state.routes[request.path];
    state.last_of_route[request.path] = std::move(seen);
  }
}

// What a failure does to the models: memory that ran out takes all of them, a crash its own.
void break_runners(State& state, const Request& request, Route route, const Fault& fault) {
  if (fault.variant.find("oom") != std::string::npos) state.scheduler->unload_all();
  if (fault.variant != "runner_stopped" || !is_inference(route)) return;
  Wanted wanted;
  if (read_wanted(route, request.body, wanted)) return;
  const FakeModel* model = state.find_model(wanted.model);
  if (model != nullptr) state.scheduler->unload(model->digest);
}

// A fault in place of the answer. False: `pause` is over and the real answer follows.
net::Task<bool> play(State& state, Connection& connection, const Request& request, Route route,
                     Fault fault) {
  net::Cancel& gone = connection.gone();
  const bool silent = fault.kind == FaultKind::kHang || fault.kind == FaultKind::kWedgePs ||
                      fault.kind == FaultKind::kWedgeAll;
  if (silent || fault.pause) {
    const Instant until = fault.pause ? state.loop.now() + *fault.pause : kNever;
    (void)co_await state.loop.sleep_until(until, &gone);
    if (connection.client_left() && is_inference(route)) {
      state.note_cancel(request.path, "hanging", 0);
    }
    if (gone.triggered()) co_return true;
    if (silent) co_return false;
  }
  const Dialect dialect = dialect_of(route);
  switch (fault.kind) {
    case FaultKind::kReset:
      connection.reset();
      break;
    case FaultKind::kBusy:
      connection.answer(503, kJsonType, error_body(dialect, 503, kBusyText));
      break;
    case FaultKind::kError: {
      break_runners(state, request, route, fault);
      const std::string_view text =
          fault.text.empty() ? error_text(fault.variant) : std::string_view(fault.text);
      connection.answer(fault.status, kJsonType, error_body(dialect, fault.status, text));
      break;
    }
    case FaultKind::kHtml:
      connection.answer(200, "text/html", "<!doctype html><title>It works</title>\n");
      break;
    default:
      co_await answer_badly(state.loop, connection, fault.variant);
      break;
  }
  co_return true;
}

net::Task<void> answer_route(State& state, Connection& connection, const Request& request,
                             Route route) {
  if (is_inference(route)) {
    co_await answer_inference(state, connection, request, route);
  } else if (route >= Route::kPull) {
    co_await answer_store(state, connection, request, route);
  } else {
    answer_listing(state, connection, request, route);
  }
}

net::Task<void> answer(State& state, Connection& connection, const Request& request) {
  if (request.path.starts_with("/fake/")) {
    answer_control(state, connection, request);
    co_return;
  }
  const RouteRow* row = row_of(request.path);
  note(state, request, row);
  const bool inference = row != nullptr && is_inference(row->route);
  const FaultTarget target{request.path, inference, request.body};
  if (const auto fault = state.faults.take_answer(target)) {
    const Route route = row != nullptr ? row->route : Route::kRoot;
    const bool answered = co_await play(state, connection, request, route, *fault);
    if (answered) co_return;
  }
  if (!host_allowed(request, state.on_loopback) || !origin_allowed(request)) {
    connection.answer(403, "", "");
  } else if (row == nullptr) {
    connection.answer(404, "text/plain", "404 page not found");
  } else if (request.method != row->method && !(row->head_too && request.method == Method::kHead)) {
    connection.answer(405, "text/plain", "405 method not allowed");
  } else {
    co_await answer_route(state, connection, request, row->route);
  }
}

// Keeps the connection in the state's list while it lives.
struct Listed {
  Listed(State& in, Connection& one) : state(in), connection(one) {
    state.connections.insert(&connection);
  }
  Listed(const Listed&) = delete;
  Listed& operator=(const Listed&) = delete;
  ~Listed() { state.connections.erase(&connection); }
  State& state;
  Connection& connection;
};

}  // namespace

net::Task<void> serve_connection(std::shared_ptr<State> state,
                                 std::unique_ptr<net::Stream> stream) {
  Connection connection(state->loop, std::move(stream));
  const Listed listed(*state, connection);
  if (state->directory) connection.keep_blobs();
  Request request;
  for (;;) {
    const bool arrived = co_await connection.read_request(request);
    if (!arrived) co_return;
    co_await answer(*state, connection, request);
    if (connection.gone().triggered()) co_return;
    const bool sent = co_await connection.drain();
    if (!sent) co_return;
    if (!connection.keeps()) break;
  }
  co_await connection.linger();
}

net::Task<void> accept_connections(std::shared_ptr<State> state,
                                   std::unique_ptr<net::Listener> listener) {
  const net::Endpoint at = listener->local();
  constexpr Duration kRetryListen = std::chrono::milliseconds(50);
  while (!state->stopping.triggered()) {
    if (listener != nullptr) {
      auto stream = co_await listener->accept(&state->closed_port);
      if (stream.ok()) {
        ++state->accepted;
        state->loop.spawn(serve_connection(state, std::move(*stream)));
        continue;
      }
      if (!state->closed_port.triggered()) co_return;
      listener.reset();
    }
    (void)co_await state->loop.sleep_for(state->closed_for, &state->stopping);
    if (state->stopping.triggered()) co_return;
    if (state->closed_port.triggered()) state->closed_port.reset();
    auto again = state->loop.listen(at, {});
    if (again.ok()) listener = std::move(*again);
    state->closed_for = kRetryListen;
  }
}

}  // namespace drover::fake
