#include "gateway/gateway.h"

#include <fmt/format.h>

#include <array>

#include "gateway/read_request.h"
#include "gateway/refusal.h"
#include "wire/dialect.h"

namespace drover::gateway {
namespace {

// In a drain: how long a head may take that was on its way when the drain began.
constexpr Duration kLastHeads = std::chrono::seconds(1);
// Connections beyond the limit that are being told so.
constexpr std::size_t kTurnedAwayAtOnce = 64;

// The path that a request line names, be the rest of the head what it may; empty when none does.
std::string_view path_of_line(std::string_view input) {
  const std::string_view line = input.substr(0, input.find('\r'));
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos) return {};
  const std::string_view target = line.substr(space + 1);
  return target.substr(0, target.find_first_of(" ?"));
}

}  // namespace

Gateway::Gateway(net::Loop& loop, engine::Port& port, net::UpstreamPool& pool, jobs::Jobs& jobs,
                 const Settings& settings, Log& log)
    : loop_(loop),
      port_(port),
      means_{pool, answer_head_, settings},
      loaded_now_(loop, port.engine(), pool, settings),
      jobs_(jobs),
      settings_(settings),
      log_(log),
      room_(settings.limits.body_memory_bytes, port.engine().metrics().body_memory_bytes) {}

Gateway::~Gateway() = default;

void Gateway::serve(std::unique_ptr<net::Listener> listener) {
  ++listeners_;
  loop_.spawn(accept_clients(std::move(listener)));
}

net::Task<void> Gateway::accept_clients(std::unique_ptr<net::Listener> listener) {
  const bool local = listener->local().is_loopback();
  for (;;) {
    Result<std::unique_ptr<net::Stream>> stream = co_await listener->accept(&stop_accepting_);
    if (!stream) {
      if (stream.error().kind != ErrorKind::kCancelled) {
        log_.error("listener failed", {{"error", std::string_view(stream.error().message)}});
      }
      break;
    }
    port_.engine().metrics().connections_accepted.add();
    if (open_ >= settings_.limits.connections && !make_room()) {
      port_.count_malformed("connection_limit");
      // More at once than this is a flood: it hears nothing.
      if (turned_away_ < kTurnedAwayAtOnce) loop_.spawn(turn_away(std::move(*stream)));
      continue;
    }
    ++open_;
    loop_.spawn(serve_connection(std::move(*stream), local));
  }
  --listeners_;
  tell_when_drained();
}

// The longest idle connection gives way: its client can open another, a new client can not wait.
// False: nobody is idle.
bool Gateway::make_room() {
  // One whose cancel is triggered gives way to somebody else.
  net::Link* const longest = idle_.find(
      [](const net::Link& each) { return !static_cast<const Link&>(each).cancel.triggered(); });
  if (longest == nullptr) return false;
  static_cast<Link*>(longest)->cancel.trigger(net::CancelReason::kShutdown);
  port_.engine().metrics().connections_evicted.add();
  return true;
}

// Every connection is at work: this one would be without a bound. What the kernel takes at once is
// all that it gets, and what it sends is read and dropped: a reset could overtake the answer.
net::Task<void> Gateway::turn_away(std::unique_ptr<net::Stream> stream) {
  ++turned_away_;
  constexpr std::string_view kFull =
      "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json; charset=utf-8\r\n"
      "Retry-After: 1\r\nContent-Length: 65\r\nConnection: close\r\n\r\n"
      "{\"error\":\"too many connections are at work (limits.connections)\"}";
  const std::array<std::string_view, 1> parts = {kFull};
  (void)stream->write(parts);
  Client client(std::move(stream));
  co_await linger(client, settings_.deadlines.linger);
  --turned_away_;
}

void Gateway::move_to(net::Link& ring, Link& link) {
  link.unlink();
  ring.append(link);
}

net::Task<void> Gateway::serve_connection(std::unique_ptr<net::Stream> stream, bool local) {
  Client client(std::move(stream));
  client.set_local(local);
  Link link(client.stream());
  idle_.append(link);
  port_.engine().metrics().connections_open.add(1);
  bool refused = false;
  // Also one that was accepted in a drain has its one request served.
  for (bool first = true; first || !draining_; first = false) {
    const Next next = co_await next_request(client, link);
    refused = next == Next::kRefused;
    if (next != Next::kRequest) break;
    co_await serve_request(client, link);
    if (draining_) client.close_after_answer();
    if (!client.keep_alive()) break;
    move_to(idle_, link);
    link.cancel.reset();
  }
  // A connection that lingers counts as busy: it ends by itself, soon.
  const bool answered = refused || !client.keep_alive();
  if (answered && !client.is_cut_short()) co_await linger(client, settings_.deadlines.linger);
  port_.engine().metrics().connections_open.add(-1);
  link.unlink();
  --open_;
  tell_when_drained();
}

// Between two requests a connection waits here. One head at a time.
net::Task<Gateway::Next> Gateway::next_request(Client& client, Link& link) {
  if (client.buffered().empty()) {
    client.release_buffer();
    const Instant deadline = loop_.now() + settings_.deadlines.idle;
    const net::WaitResult ready = co_await client.stream().readable(deadline, &link.cancel);
    if (ready != net::WaitResult::kReady) co_return Next::kNone;
  }
  Result<void> arrived = co_await read_head(client, head_, settings_, &link.cancel);
  move_to(busy_, link);
  if (arrived) co_return Next::kRequest;
  client.keep();
  if (arrived.error().kind == ErrorKind::kClosed) co_return Next::kNone;
  co_await refuse_head(client, std::move(arrived).error());
  co_return Next::kRefused;
}

void Gateway::tell_when_drained() {
  if (draining_ && listeners_ == 0 && open_connections() == 0 && drained_)
    std::exchange(drained_, {})();
}

// A head that is no request: answered in the dialect of its path, if it came that far.
net::Task<void> Gateway::refuse_head(Client& client, Error error) {
  Exchange exchange(settings_.limits, loop_.now());
  exchange.dialect = dialect_of_path(path_of_line(client.buffered()));
  exchange.id = port_.engine().next_request_id();
  exchange.id_text = own_id_text(exchange.id);
  exchange.record.route = "(malformed)";
  client.begin_request({});
  exchange.malformed = true;
  co_await refuse(client, exchange, std::move(error), {}, settings_.deadlines.write_stall, nullptr);
  finish(client, exchange);
}

// One line in the log, one record for the metrics and for who asks later. Nobody reads the
// exchange after this.
void Gateway::finish(const Client& client, Exchange& exchange) {
  engine::RequestRecord record{exchange.record, exchange.ask.model.text()};
  if (exchange.instance != nullptr) record.backend = exchange.instance->name;
  record.total = loop_.now() - exchange.arrived;
  const bool ill =
      record.outcome == engine::Outcome::kFailed || record.outcome == engine::Outcome::kBroken;
  // A client's address is there already.
  const bool named = !settings_.tenant_header.empty();
  const std::string tenant = named ? fmt::format("{:016x}", exchange.ask.tenant.value) : "";
  const std::string_view failure =
      exchange.failure == nullptr ? std::string_view() : *exchange.failure;
  const LogField fields[] = {{"id", PlainText{exchange.id_text}},
                             {"client", PlainText{client.peer()}},
                             {"route", PlainText{record.route}},
                             {"model", std::string_view(record.model)},
                             {"instance", std::string_view(record.backend)},
                             {"status", static_cast<std::int64_t>(record.status)},
                             {"outcome", PlainText{to_string(record.outcome)}},
                             {"retries", static_cast<std::uint64_t>(record.retries)},
                             {"queued_ms", record.queued},
                             {"first_token_ms", record.first_byte},
                             {"total_ms", record.total},
                             {"prompt_tokens", record.usage.prompt_tokens},
                             {"output_tokens", record.usage.output_tokens},
                             {"failure", failure},
                             {"why", std::string_view(exchange.why)},
                             {"tenant", std::string_view(tenant)}};
  if (exchange.malformed) port_.count_malformed(record.reason);
  log_.write(ill ? LogLevel::kWarn : LogLevel::kInfo, "request",
             std::span(fields).first(std::size(fields) - (named ? 0 : 1)));
  record.arrived = exchange.arrived;
  record.id = std::move(exchange.id_text);
  record.client = client.peer();
  if (exchange.failure != nullptr) record.failure = std::move(*exchange.failure);
  record.why = std::move(exchange.why);
  port_.record(std::move(record));
}

void Gateway::drain(std::function<void()> done) {
  draining_ = true;
  drained_ = std::move(done);
  stop_accepting_.trigger(net::CancelReason::kShutdown);
  idle_.for_each([](net::Link& each) {
    auto& link = static_cast<Link&>(each);
    // Of many who have asked, a turn tells only some.
    if (!link.stream.look_for_input()) link.cancel.trigger(net::CancelReason::kShutdown);
  });
  loop_.spawn(close_idle_after(kLastHeads));
  tell_when_drained();
}

net::Task<void> Gateway::close_idle_after(Duration time) {
  co_await loop_.sleep_for(time);
  call_off_all(idle_);
}

void Gateway::cut() {
  cut_ = true;
  call_off_all(busy_);
}

// Whoever is called off runs later, and only then leaves the ring.
void Gateway::call_off_all(const net::Link& ring) {
  ring.for_each([](net::Link& each) {
    static_cast<Link&>(each).cancel.trigger(net::CancelReason::kShutdown);
  });
}

}  // namespace drover::gateway
