#include "gateway/admin.h"

#include <fmt/format.h>

#include "gateway/access.h"
#include "gateway/admin_requests.h"
#include "gateway/read_request.h"
#include "gateway/refusal.h"

namespace drover::gateway {
namespace {

constexpr std::size_t kMaxConnections = 64;  // operators and scrapers, never clients
constexpr std::string_view kText = "text/plain; charset=utf-8";
constexpr std::string_view kJson = "application/json; charset=utf-8";
constexpr std::string_view kHtml = "text/html; charset=utf-8";
constexpr std::string_view kPrometheus = "text/plain; version=0.0.4; charset=utf-8";

// The page has no script and loads nothing.
constexpr std::string_view kSafety =
    "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; "
    "frame-ancestors 'none'\r\n";

}  // namespace

Admin::Admin(net::Loop& home, engine::Engine& engine, const Settings& settings, AdminViews views)
    : loop_(home), engine_(engine), settings_(settings), views_(std::move(views)) {}

void Admin::serve(std::unique_ptr<net::Listener> listener) {
  loop_.spawn(accept_clients(std::move(listener)));
}

void Admin::stop() { stop_.trigger(net::CancelReason::kShutdown); }

net::Task<void> Admin::accept_clients(std::unique_ptr<net::Listener> listener) {
  for (;;) {
    Result<std::unique_ptr<net::Stream>> stream = co_await listener->accept(&stop_);
    if (!stream) co_return;
    // Beyond the bound the connection is closed: descriptors are for clients.
    if (open_ < kMaxConnections) loop_.spawn(count_connection(std::move(*stream)));
  }
}

net::Task<void> Admin::count_connection(std::unique_ptr<net::Stream> stream) {
  ++open_;
  co_await serve_connection(std::move(stream));
  --open_;
}

net::Task<void> Admin::serve_connection(std::unique_ptr<net::Stream> stream) {
  Client client(std::move(stream));
  while (!stop_.triggered()) {
    wire::RequestHead head;
    if (client.buffered().empty()) client.release_buffer();
    Result<void> arrived = co_await read_head(client, head, settings_, &stop_);
    if (!arrived && arrived.error().kind == ErrorKind::kClosed) co_return;
    AdminPage page;
    if (arrived) {
      client.begin_request(head);
      page = render(head);
      // Nothing here takes a body, so none is read.
      if (head.framing != wire::Framing::kNone) client.close_after_answer();
      client.consume(head.bytes);
    } else {
      const int status = status_of(arrived.error().kind);
      page = problem_page(status, arrived.error().message);
      client.close_after_answer();
    }
    client.keep();
    std::string fields(kSafety);
    if (page.status == 405) fields += fmt::format("Allow: {}\r\n", page.allow);
    const Answer answer{page.status, page.content_type, fields};
    Result<void> sent =
        co_await client.send_whole(answer, page.body, settings_.deadlines.write_stall, &stop_);
    if (!sent) co_return;
    if (!client.keep_alive()) co_return co_await linger(client, settings_.deadlines.linger);
  }
}

AdminPage Admin::readiness() const {
  if (draining_) return {503, kText, "draining\n"};
  const std::shared_ptr<const core::FleetView> fleet = engine_.view_now();
  for (const core::BackendView& backend : fleet->backends) {
    const bool serves =
        backend.health == core::HealthState::kUp || backend.health == core::HealthState::kProbation;
    if (serves) return {200, kText, "ready\n"};
  }
  return {503, kText, "no instance is up\n"};
}

AdminPage Admin::render(const wire::RequestHead& head) const {
  Result<void> host = check_host(head.authority, settings_.access);
  if (!host) return problem_page(421, host.error().message);
  if (std::optional<AdminPage> page = answer_instances(engine_, head)) return *std::move(page);
  if (std::optional<AdminPage> page = answer_requests(engine_.finished(), head, loop_.now())) {
    return *std::move(page);
  }
  const bool reads = head.method == wire::Method::kGet || head.method == wire::Method::kHead;
  if (!reads) return problem_page(405, "this address answers GET and HEAD", "GET, HEAD");
  if (head.path == "/livez") return {200, kText, "alive\n"};
  if (head.path == "/readyz") return readiness();
  if (head.path == "/metrics") return {200, kPrometheus, views_.metrics()};
  if (head.path == "/api/v1/status") return {200, kJson, views_.status()};
  if (head.path == "/api/v1/models") return {200, kJson, views_.models()};
  if (head.path == "/") return {200, kHtml, views_.page()};
  return problem_page(404,
                      "known here: /, /livez, /readyz, /metrics, /api/v1/status, "
                      "/api/v1/instances, /api/v1/models, /api/v1/requests/ID");
}

}  // namespace drover::gateway
