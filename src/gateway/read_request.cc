#include "gateway/read_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "base/check.h"
#include "base/rng.h"
#include "gateway/access.h"
#include "gateway/cors.h"
#include "gateway/usage_wish.h"
#include "wire/http_body.h"
#include "wire/multipart.h"
#include "wire/zstd_body.h"

namespace drover::gateway {
namespace {

Error client_error(ErrorKind kind, std::string message) {
  return {kind, Origin::kClient, Retry::kNever, std::move(message)};
}

// Fields that say who the client is or how this hop works: never for an instance.
constexpr wire::FieldNames kNotForwarded(std::to_array<std::string_view>(
    {"host", "origin", "referer", "authorization", "x-api-key", "cookie", "content-length",
     "expect", "accept-encoding", "forwarded", "x-real-ip", "x-request-id", "content-encoding"}));

// X-Forwarded-For, -Host, -Proto, and what others make of them: -Port, -Prefix, -Ssl, -User …
constexpr std::array<std::string_view, 2> kNotForwardedPrefixes = {"x-forwarded-", "x-drover-"};

// All Connection fields as one list.
std::string connection_options(const wire::RequestHead& head) {
  std::string options;
  for (const wire::Field& field : head.fields) {
    if (!wire::field_is(field.name, "connection")) continue;
    if (!options.empty()) options += ',';
    options += field.value;
  }
  return options;
}

bool is_forwarded(const wire::Field& field, std::string_view connection) {
  if (kNotForwarded.contains(field.name) || wire::is_hop_by_hop(field.name)) return false;
  for (std::string_view prefix : kNotForwardedPrefixes) {
    if (wire::field_is(field.name.substr(0, prefix.size()), prefix)) return false;
  }
  if (connection.empty()) return true;
  std::string lower(field.name);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return !wire::list_has_token(connection, lower);
}

void add_line(std::string& lines, std::string_view name, std::string_view value) {
  lines += name;
  lines += ": ";
  lines += value;
  lines += "\r\n";
}

// The line that `field` was read from, when it is written as we would write it; else empty.
std::string_view plain_line(const wire::Field& field) {
  // Behind every value stand at least a CR and an LF, so this is all within the head.
  const char* const colon = field.name.data() + field.name.size();
  const char* const end = field.value.data() + field.value.size();
  const bool plain = field.value.data() == colon + 2 && colon[1] == ' ' && end[0] == '\r';
  if (!plain) return {};
  return {field.name.data(), static_cast<std::size_t>(end + 2 - field.name.data())};
}

// The lines that are for an instance. Most stand one behind the other, and go in one piece.
void forward_fields(const wire::RequestHead& head, std::string& lines) {
  const std::string connection = connection_options(head);
  std::string_view run;
  for (const wire::Field& field : head.fields) {
    if (!is_forwarded(field, connection)) continue;
    const std::string_view line = plain_line(field);
    if (!line.empty() && run.data() + run.size() == line.data()) {
      run = {run.data(), run.size() + line.size()};
      continue;
    }
    lines += run;
    run = line;
    if (line.empty()) add_line(lines, field.name, field.value);
  }
  lines += run;
}

void copy_fields(const wire::RequestHead& head, Exchange& exchange) {
  constexpr std::size_t kOurs = 64;  // X-Request-ID
  exchange.kept->forward_fields.reserve(head.bytes + kOurs);
  forward_fields(head, exchange.kept->forward_fields);
  const std::string_view id = head.find("x-request-id").value_or("");
  exchange.id_text = is_safe_id(id) ? std::string(id) : own_id_text(exchange.id);
  add_line(exchange.kept->forward_fields, "X-Request-ID", exchange.id_text);
}

// "5" or "0.5"; none: it is no number of seconds from a millisecond to a day.
std::optional<Duration> parse_seconds(std::string_view text) {
  constexpr double kLeast = 0.001;
  constexpr double kMost = 24.0 * 3600;
  double seconds = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, wrong] = std::from_chars(text.data(), end, seconds, std::chars_format::fixed);
  if (wrong != std::errc() || rest != end || !(seconds >= kLeast && seconds <= kMost)) {
    return std::nullopt;
  }
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

// What the client tells drover itself.
Result<void> read_own_fields(const wire::RequestHead& head, Exchange& exchange,
                             const Settings& settings) {
  constexpr std::string_view kPrefix = "x-drover-";
  std::optional<Priority> priority;
  for (const wire::Field& field : head.fields) {
    if (!wire::field_is(field.name.substr(0, kPrefix.size()), kPrefix)) continue;
    const std::string_view name = field.name.substr(kPrefix.size());
    if (wire::field_is(name, "explain")) {
      exchange.explain = true;
    } else if (wire::field_is(name, "priority") && settings.hears_priorities) {
      const std::optional<Priority> said = parse_priority(field.value);
      if (!said) {
        return client_error(ErrorKind::kMalformed,
                            "X-Drover-Priority is interactive, normal or batch");
      }
      // Of several the least: who can add a field to a request can not lift it over others.
      priority = std::max(priority.value_or(*said), *said);
    } else if (wire::field_is(name, "deadline")) {
      const std::optional<Duration> said = parse_seconds(field.value);
      if (!said) {
        return client_error(ErrorKind::kMalformed,
                            "X-Drover-Deadline is a number of seconds from 0.001 to 86400, such as "
                            "5 or 0.5");
      }
      exchange.ask.deadline = std::min(exchange.ask.deadline, exchange.arrived + *said);
    }
  }
  exchange.ask.priority = priority.value_or(Priority::kNormal);
  return {};
}

// FNV-1a. What names a tenant may be a key, and this is all that is shown of it: too little to find
// a random key by, enough to confirm a guess of a name.
TenantId hash_of(std::string_view name, std::uint64_t basis) {
  std::uint64_t hash = basis;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return {hash};
}

TenantId tenant_of(const wire::RequestHead& head, std::string_view peer, const Settings& settings) {
  constexpr std::uint64_t kNamed = 0xcbf29ce484222325;
  constexpr std::uint64_t kByAddress = 0x84222325cbf29ce4;  // no name is taken for an address
  if (!settings.tenant_header.empty()) {
    const std::string_view name = head.find(settings.tenant_header).value_or("");
    if (!name.empty()) return hash_of(name, kNamed);
  }
  return hash_of(peer, kByAddress);
}

// One tenant's conversations tell nothing about another's, not even by how fast an answer comes.
std::optional<std::uint64_t> salt_of(TenantId tenant, const Settings& settings) {
  if (!settings.names_beginnings) return std::nullopt;
  return Rng(tenant.value).next();
}

// Where Ollama reads compressed bodies itself.
bool takes_zstd(const Route& route) {
  return route.treatment == Treatment::kJsonBody && route.dialect != Dialect::kNative;
}

Result<void> check_body_head(const wire::RequestHead& head, Exchange& exchange,
                             const Settings& settings) {
  for (const wire::Field& field : head.fields) {
    if (!wire::field_is(field.name, "content-encoding")) continue;
    if (wire::field_is(field.value, "identity")) continue;
    const bool zstd = wire::field_is(field.value, "zstd") && takes_zstd(*exchange.route);
    if (!zstd || exchange.zstd) {
      return client_error(ErrorKind::kMediaType,
                          "of compressed request bodies only zstd is read, once, and only on /v1 "
                          "routes with JSON; send the body as it is");
    }
    exchange.zstd = true;
  }
  if (head.framing == wire::Framing::kLength && head.content_length > settings.limits.body_bytes) {
    return client_error(ErrorKind::kTooLarge,
                        fmt::format("the body has {} bytes, the limit is {} (limits.body_bytes)",
                                    head.content_length, settings.limits.body_bytes));
  }
  return {};
}

Result<void> read_form_type(const wire::RequestHead& head, Exchange& exchange) {
  const auto types = std::count_if(head.fields.begin(), head.fields.end(), [](const auto& field) {
    return wire::field_is(field.name, "content-type");
  });
  if (types > 1) return client_error(ErrorKind::kMalformed, "Content-Type is given twice");
  Result<std::string> boundary = wire::form_boundary(head.find("content-type").value_or(""));
  if (!boundary) return std::move(boundary).error();
  exchange.kept->form_boundary = std::move(*boundary);
  return {};
}

// The part of reading that does not suspend: decodes what arrived, keeps and inspects it.
class BodyIntake {
 public:
  BodyIntake(Exchange& exchange, const Settings& settings)
      : exchange_(exchange),
        settings_(settings),
        decoder_(exchange.framing, exchange.content_length, Origin::kClient),
        inspector_(settings.limits.json, salt_of(exchange.ask.tenant, settings)) {
    if (exchange.zstd) {
      zstd_.emplace();
    } else if (exchange.framing == wire::Framing::kLength) {
      exchange.kept->body.expect(exchange.content_length);
    }
  }
  BodyIntake(const BodyIntake&) = delete;
  BodyIntake& operator=(const BodyIntake&) = delete;
  ~BodyIntake() {
    if (window_ > 0) exchange_.body_room->give(window_);
  }

  // Bytes of `input` that belong to the body.
  Result<std::size_t> take(std::string_view input) {
    std::size_t used = 0;
    while (used < input.size() && !decoder_.done()) {
      Result<wire::BodyDecoder::Step> step = decoder_.next(input.substr(used));
      exchange_.malformed = !step.ok();
      if (!step) return std::move(step).error();
      used += step->consumed;
      if (step->data.empty()) continue;
      Result<void> kept = zstd_ ? unpack(step->data) : keep(step->data);
      if (!kept) return std::move(kept).error();
    }
    return used;
  }

  bool done() const { return decoder_.done(); }
  // The connection ended: within the body, or decoder_.done() would have been asked before.
  Error end_of_input() {
    exchange_.malformed = true;
    Result<void> end = decoder_.end();
    return end ? client_error(ErrorKind::kMalformed, "the request body was cut short")
               : std::move(end).error();
  }

  Result<void> finish() {
    Ask& ask = exchange_.ask;
    ask.body_bytes = exchange_.kept->body.received_bytes();
    if (exchange_.route->treatment == Treatment::kMultipart) {
      Result<std::string> model = multipart_.finish();
      if (!model) return std::move(model).error();
      // Whoever goes by the announced boundary would find other parts, and another model.
      if (multipart_.boundary() != exchange_.kept->form_boundary) {
        return client_error(ErrorKind::kMalformed,
                            "the form does not begin with the boundary that Content-Type names");
      }
      return set_model(std::move(*model));
    }
    if (zstd_) {
      Result<void> whole = zstd_->end();
      if (!whole) return whole;
    }
    if (ask.body_bytes == 0) return client_error(ErrorKind::kMalformed, "missing request body");
    Result<wire::RequestFacts> facts = inspector_.finish();
    if (!facts) return std::move(facts).error();
    if (exchange_.route->inference && exchange_.route->dialect == Dialect::kNative) {
      follow_keep_alive(*facts);
    }
    ask.streaming = exchange_.route->shape != StreamShape::kNone &&
                    facts->stream.value_or(exchange_.route->streams_by_default);
    const bool lacks_usage = ask.streaming && exchange_.route->shape == StreamShape::kOpenAiSse;
    exchange_.hides_usage = lacks_usage && settings_.wants_usage && ask_for_usage(*facts);
    exchange_.kept->body.set_edits(std::move(facts->edits));
    ask.takes_runner_options =
        exchange_.route->inference && exchange_.route->dialect == Dialect::kNative;
    if (ask.takes_runner_options) {
      ask.num_ctx = facts->num_ctx;
      ask.other_runner_options = facts->other_runner_options;
      exchange_.kept->options = std::move(facts->places);
    }
    ask.beginnings = std::move(facts->beginnings);
    exchange_.empty_prompt = facts->empty_prompt;
    if (exchange_.route->treatment == Treatment::kOrder) return {};  // orders.h reads the names
    return set_model(facts->model.value_or(""));
  }

 private:
  Result<void> unpack(std::string_view packed) {
    for (;;) {
      Result<wire::ZstdBody::Step> step = zstd_->next(packed);
      if (!step) return std::move(step).error();
      Result<void> room = make_room(zstd_->memory_bytes());
      if (!room) return room;
      packed.remove_prefix(step->consumed);
      if (step->data.empty() && packed.empty()) return {};
      Result<void> kept = keep(step->data);
      if (!kept) return kept;
    }
  }

  // What decoding takes, which the client chooses by its window: as much as a small body, or out of
  // the room of larger ones.
  Result<void> make_room(std::uint64_t bytes) {
    const bool small = bytes <= settings_.limits.spill_bytes;
    if (small || exchange_.body_room == nullptr || bytes <= window_) return {};
    if (!exchange_.body_room->take(bytes - window_)) {
      return Error{ErrorKind::kUnavailable, Origin::kSelf, Retry::kNever,
                   "too many compressed bodies are being read (limits.body_memory)"};
    }
    window_ = bytes;
    return {};
  }

  Result<void> keep(std::string_view data) {
    if (exchange_.kept->body.received_bytes() + data.size() > settings_.limits.body_bytes) {
      return client_error(ErrorKind::kTooLarge,
                          fmt::format("the body is larger than {} bytes (limits.body_bytes)",
                                      settings_.limits.body_bytes));
    }
    const bool form = exchange_.route->treatment == Treatment::kMultipart;
    Result<void> read = form ? multipart_.feed(data) : inspect(data);
    if (!read) return read;
    return exchange_.kept->body.append(data);
  }

  Result<void> inspect(std::string_view data) {
    const bool whole = exchange_.kept->body.received_bytes() == 0 && decoder_.done() && !zstd_;
    if (whole && inspector_.take_whole(data)) return {};
    return inspector_.feed(data);
  }

  // How long a model stays is not for one client to say: who wants it gone sooner than others, or
  // for a while where it shall stay, is not heard. `ollama stop` names no time, but an end.
  void follow_keep_alive(wire::RequestFacts& facts) const {
    if (!facts.kept_alive) return;
    const bool stop = exchange_.route->shape == StreamShape::kNdjson && facts.empty_prompt &&
                      *facts.kept_alive == Duration{};
    const bool shorter =
        *facts.kept_alive >= Duration{} && *facts.kept_alive < settings_.least_keep_alive;
    const ModelName model = ModelName::canonical(facts.model.value_or(""));
    if (stop || (!shorter && !settings_.stay_loaded.contains(model))) return;
    const wire::OptionPlaces::Place& place = facts.keep_alive;
    const auto at = std::ranges::upper_bound(facts.edits, place.offset, {}, &wire::Edit::offset);
    facts.edits.insert(at, {place.offset, place.length, "null"});
  }

  Result<void> set_model(std::string model) {
    if (model.empty()) return client_error(ErrorKind::kMalformed, "model is required");
    exchange_.ask.model = ModelName::canonical(model);
    exchange_.ask.model_as_sent = std::move(model);
    return {};
  }

  Exchange& exchange_;
  const Settings& settings_;
  wire::BodyDecoder decoder_;
  wire::RequestInspector inspector_;
  wire::MultipartModel multipart_;
  std::optional<wire::ZstdBody> zstd_;
  std::uint64_t window_ = 0;  // taken for it
};

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

// "sha256:" and 64 hex digits; Ollama's old "sha256-" too, and the colon may be escaped.
Result<void> check_digest(std::string_view segment) {
  Result<std::string> digest = wire::percent_decode(segment);
  if (!digest) return std::move(digest).error();
  constexpr std::size_t kPrefix = 7;
  constexpr std::size_t kDigits = 64;
  const bool fine =
      digest->size() == kPrefix + kDigits &&
      (digest->starts_with("sha256:") || digest->starts_with("sha256-")) &&
      digest->find_first_not_of("0123456789abcdefABCDEF", kPrefix) == std::string::npos;
  if (fine) return {};
  return client_error(ErrorKind::kMalformed,
                      "a blob is named by its digest: /api/blobs/sha256: and 64 hex digits");
}

// admit(), with the head still in the client's buffer.
Result<void> judge_head(const wire::RequestHead& head, const WhoAsks& asker, Exchange& exchange,
                        const Settings& settings) {
  Result<void> host = check_host(head.authority, settings.access);
  if (!host) return host;
  const std::string_view origin = head.find("origin").value_or("");
  Result<void> page = check_origin(origin, head.authority, settings.access);
  if (!page) return page;
  if (!origin.empty()) exchange.answer_fields += cors_fields(origin);
  if (head.method == wire::Method::kOptions && is_known_path(head.path)) {
    exchange.answer_fields += preflight_fields(head);
    exchange.route = nullptr;
    return {};
  }
  Result<Match> match = match_route(head);
  if (!match) {
    const std::string_view allowed = allowed_methods(head.path);
    if (!allowed.empty()) {
      fmt::format_to(std::back_inserter(exchange.answer_fields), "Allow: {}\r\n", allowed);
    }
    return std::move(match).error();
  }
  exchange.route = match->route;
  exchange.record.route = match->route->path;
  exchange.kept->target = match->route->path;
  Result<void> allowed = check_scope(match->route->scope, asker, settings.access);
  if (!allowed) return allowed;
  if (match->route->treatment == Treatment::kIdentity) exchange.kept->target = head.path;
  if (match->route->treatment == Treatment::kBlob) {
    exchange.kept->target = head.path;
    return check_digest(match->segment);
  }
  if (match->route->treatment == Treatment::kPathModel) {
    Result<std::string> model = wire::percent_decode(match->segment);
    if (!model) return std::move(model).error();
    exchange.kept->target = fmt::format("/v1/models/{}", match->segment);
    exchange.ask.model = ModelName::canonical(*model);
    exchange.ask.model_as_sent = std::move(*model);
  }
  Result<void> body = check_body_head(head, exchange, settings);
  if (!body || match->route->treatment != Treatment::kMultipart) return body;
  return read_form_type(head, exchange);
}

}  // namespace

std::string own_id_text(RequestId id) {
  constexpr std::size_t kDigits = 15;
  std::string out(kDigits, '0');
  std::uint64_t value = id.value;
  for (std::size_t i = kDigits; i > 0 && value != 0; value >>= 4U)
    out[--i] = "0123456789abcdef"[value & 15];
  return out;
}

bool is_safe_id(std::string_view id) {
  constexpr std::size_t kMaxId = 128;
  return !id.empty() && id.size() <= kMaxId &&
         std::all_of(id.begin(), id.end(), [](unsigned char c) {
           return std::isalnum(c) || c == '-' || c == '_' || c == '.' || c == ':';
         });
}

net::Task<Result<void>> read_head(Client& client, wire::RequestHead& head, const Settings& settings,
                                  net::Cancel* cancel) {
  wire::RequestParser parser(settings.limits.head);
  Instant deadline = client.loop().now() + settings.deadlines.idle;
  bool began = false;
  for (;;) {
    if (!client.buffered().empty()) {
      Result<std::optional<std::size_t>> parsed = parser.parse(client.buffered(), head);
      if (!parsed) co_return std::move(parsed).error();
      if (parsed->has_value()) co_return Result<void>();
      if (!began) deadline = client.loop().now() + settings.deadlines.head;
      began = true;
    }
    client.keep();
    const net::WaitResult ready = co_await client.more(deadline, cancel);
    Result<void> more = client.take_more(ready);
    if (more) continue;
    Error error = std::move(more).error();
    if (!began || error.kind == ErrorKind::kCancelled) {
      co_return Error{ErrorKind::kClosed, Origin::kClient, Retry::kNever, error.message};
    }
    if (error.kind == ErrorKind::kTimeout) {
      co_return client_error(ErrorKind::kSlow, "the request head took too long to arrive");
    }
    co_return client_error(ErrorKind::kMalformed, "the connection ended inside a request head");
  }
}

Result<void> admit(Client& client, const wire::RequestHead& head, Exchange& exchange,
                   const Settings& settings) {
  exchange.method = head.method;
  exchange.dialect = dialect_of_path(head.path);
  exchange.ask.dialect = exchange.dialect;
  exchange.framing = head.framing;
  exchange.content_length = head.content_length;
  exchange.expect_continue = head.expect_continue && head.minor_version == 1;
  exchange.body_unread = head.framing == wire::Framing::kChunked || head.content_length != 0;
  copy_fields(head, exchange);
  exchange.ask.tenant = tenant_of(head, client.peer(), settings);
  Result<void> judged =
      judge_head(head, {client.stream().peer(), client.is_local()}, exchange, settings);
  if (judged) judged = read_own_fields(head, exchange, settings);
  // In either case: what stays in the buffer is the next request.
  client.consume(head.bytes);
  return judged;
}

bool waits_to_continue(const Client& client, const Exchange& exchange) {
  return exchange.expect_continue && client.buffered().empty();
}

net::Task<Result<void>> let_it_continue(Client& client, const Exchange& exchange,
                                        const Settings& settings, net::Cancel* cancel) {
  DROVER_ASSERT(waits_to_continue(client, exchange));
  Result<void> sent =
      co_await client.send_rest(std::string(kContinue), settings.deadlines.write_stall, cancel);
  co_return sent;
}

namespace {

Result<void> end_body(Client& client, Exchange& exchange, BodyIntake& intake) {
  exchange.body_unread = false;
  // Only what was sent ahead stays; an answer may take minutes.
  if (client.buffered().empty()) client.release_buffer();
  return intake.finish();
}

// What is left in the buffer is the next request.
Result<void> read_buffered_body(Client& client, Exchange& exchange, const Settings& settings) {
  BodyIntake intake(exchange, settings);
  Result<std::size_t> used = intake.take(client.buffered());
  if (!used) return std::move(used).error();
  client.consume(*used);
  return end_body(client, exchange, intake);
}

net::Task<Result<void>> read_arriving_body(Client& client, Exchange& exchange,
                                           const Settings& settings, net::Cancel* cancel) {
  BodyIntake intake(exchange, settings);
  if (!intake.done() && waits_to_continue(client, exchange)) {
    Result<void> sent = co_await let_it_continue(client, exchange, settings, cancel);
    if (!sent) co_return sent;
  }
  Instant window_end = client.loop().now() + settings.deadlines.body_window;
  std::uint64_t window_start = 0;
  std::string_view input = client.buffered();
  bool from_buffer = true;
  while (!intake.done()) {
    Result<std::size_t> used = intake.take(input);
    if (!used) co_return std::move(used).error();
    if (from_buffer) {
      client.consume(*used);
    } else {
      client.unread(input.substr(*used));
    }
    if (intake.done()) break;
    from_buffer = false;
    Result<std::string_view> more = co_await client.receive(window_end, cancel);
    if (more) {
      input = *more;
      continue;
    }
    if (more.error().kind == ErrorKind::kClosed) co_return intake.end_of_input();
    if (more.error().kind != ErrorKind::kTimeout) co_return std::move(more).error();
    // The window is over: a slow link has moved something, an attack next to nothing.
    if (exchange.kept->body.received_bytes() - window_start < kBodyWindowBytes) {
      co_return client_error(ErrorKind::kSlow, "the request body arrives too slowly");
    }
    window_start = exchange.kept->body.received_bytes();
    window_end = client.loop().now() + settings.deadlines.body_window;
    input = {};
  }
  co_return end_body(client, exchange, intake);
}

net::Task<Result<void>> failed(Error error) { co_return std::move(error); }

}  // namespace

net::Task<Result<void>> read_body(Client& client, Exchange& exchange, const Settings& settings,
                                  net::Cancel* cancel) {
  using Reading = net::Task<Result<void>>;
  if (exchange.route->treatment == Treatment::kPathModel) {
    // It asks by its path. A body has no meaning here, and must reach no instance: behind a GET
    // without a length it would be read as another request.
    client.keep();
    if (exchange.body_unread) client.close_after_answer();
    if (client.buffered().empty()) client.release_buffer();
    return Reading::completed();
  }
  // Nearly every body came with its head, and there is nothing to wait for.
  const bool is_here = exchange.framing == wire::Framing::kLength &&
                       client.buffered().size() >= exchange.content_length;
  if (!is_here) {
    client.keep();
    return read_arriving_body(client, exchange, settings, cancel);
  }
  Result<void> read = read_buffered_body(client, exchange, settings);
  client.keep();
  return read ? Reading::completed() : failed(std::move(read).error());
}

}  // namespace drover::gateway
