#include "gateway/passage.h"

#include <fmt/format.h>

#include <algorithm>

#include "wire/http_body.h"
#include "wire/progress.h"

namespace drover::gateway {
namespace {

bool has_body(const Exchange& exchange) {
  return exchange.framing == wire::Framing::kChunked || exchange.framing == wire::Framing::kLength;
}

std::string_view text_of(wire::Method method) {
  switch (method) {
    case wire::Method::kGet:
      return "GET";
    case wire::Method::kHead:
      return "HEAD";
    case wire::Method::kDelete:
      return "DELETE";
    default:
      return "POST";
  }
}

std::string head_text(const Exchange& exchange, const net::HostPort& address) {
  std::string framing;
  if (has_body(exchange)) {
    framing = exchange.framing == wire::Framing::kChunked
                  ? "Transfer-Encoding: chunked\r\n"
                  : fmt::format("Content-Length: {}\r\n", exchange.content_length);
  }
  return fmt::format(
      "{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: drover\r\nX-Request-ID: {}\r\n{}"
      "Connection: close\r\n\r\n",
      text_of(exchange.method), exchange.kept->target, address.to_string(), exchange.id_text,
      framing);
}

Error too_long() {
  return {ErrorKind::kUpstream, Origin::kInstance, Retry::kSafe, "its answer is too long"};
}

}  // namespace

Passage::Passage(Client& client, Exchange& exchange, net::UpstreamPool& pool,
                 const Settings& settings, net::Cancel& cancel)
    : client_(client), exchange_(exchange), pool_(pool), settings_(settings), cancel_(cancel) {}

net::Task<void> Passage::open(std::shared_ptr<const core::FleetView> fleet) {
  for (const jobs::Store& store : settings_.stores) {
    jobs::Fared& fared = fared_.emplace_back();
    fared.name = store.name;
    const jobs::Member* const writer = jobs::writer_of(store, *fleet, {});
    if (writer == nullptr) {
      fared.error = "no instance of it answers";
      continue;
    }
    Leg& leg = legs_.emplace_back(loop(), &cancel_);
    leg.index = fared_.size() - 1;
    co_await open_leg(leg, writer->address);
  }
}

net::Task<void> Passage::open_to(const Instance& instance) {
  fared_.emplace_back().name = instance.name;
  Leg& leg = legs_.emplace_back(loop(), &cancel_);
  co_await open_leg(leg, instance.address);
}

net::Task<void> Passage::open_leg(Leg& leg, net::HostPort address) {
  Result<std::unique_ptr<net::Stream>> stream = co_await pool_.connect(address, &cancel_);
  if (!stream) co_return failed(leg, stream.error());
  leg.call.adopt(std::move(*stream));
  const std::string head = head_text(exchange_, address);
  co_await send(leg, head);
}

void Passage::failed(Leg& leg, const Error& error) {
  leg.takes = false;
  fared_[leg.index].error = error.message;
}

bool Passage::anybody_takes() const {
  return std::any_of(legs_.begin(), legs_.end(), [](const Leg& leg) { return leg.takes; });
}

net::Task<void> Passage::send(Leg& leg, std::string_view bytes) {
  Result<void> sent = co_await leg.call.send(bytes, settings_.deadlines.write_stall);
  if (sent) co_return;
  // Whoever answered and closed has said why; it is read with the other answers.
  leg.takes = false;
  if (!leg.call.has_input()) failed(leg, sent.error());
}

// The next bytes of the client, kept here: the loop's scratch does not survive a wait.
net::Task<Result<std::string_view>> Passage::next_input(Instant& window_end,
                                                        std::uint64_t& window_start) {
  for (;;) {
    Result<std::string_view> more = co_await client_.receive(window_end, &cancel_);
    if (more) {
      input_.assign(*more);
      co_return std::string_view(input_);
    }
    if (more.error().kind == ErrorKind::kClosed) {
      exchange_.malformed = true;
      co_return Error{ErrorKind::kMalformed, Origin::kClient, Retry::kNever,
                      "the request body was cut short"};
    }
    if (more.error().kind != ErrorKind::kTimeout) co_return std::move(more).error();
    if (received_ - window_start < kBodyWindowBytes) {
      co_return Error{ErrorKind::kSlow, Origin::kClient, Retry::kNever,
                      "the request body arrives too slowly"};
    }
    window_start = received_;
    window_end = loop().now() + settings_.deadlines.body_window;
  }
}

net::Task<Result<void>> Passage::carry_body() {
  wire::BodyDecoder decoder(exchange_.framing, exchange_.content_length, Origin::kClient);
  Instant window_end = loop().now() + settings_.deadlines.body_window;
  std::uint64_t window_start = 0;
  input_.assign(client_.buffered());
  client_.consume(input_.size());
  std::string_view rest = input_;
  while (!decoder.done() && anybody_takes()) {
    if (rest.empty()) {
      Result<std::string_view> more = co_await next_input(window_end, window_start);
      if (!more) co_return std::move(more).error();
      rest = *more;
    }
    Result<wire::BodyDecoder::Step> step = decoder.next(rest);
    if (!step) co_return std::move(step).error();
    rest.remove_prefix(step->consumed);
    received_ += step->data.size();
    if (!step->data.empty()) co_await pass_on(step->data);
    // Time that the stores took is not the client's.
    window_end = std::max(window_end, loop().now() + settings_.deadlines.body_window);
  }
  exchange_.body_unread = !decoder.done();
  if (!decoder.done()) co_return Result<void>();
  client_.unread(rest);
  if (exchange_.framing != wire::Framing::kChunked) co_return Result<void>();
  for (Leg& leg : legs_) {
    if (leg.takes) co_await send(leg, wire::kLastChunk);
  }
  co_return Result<void>();
}

net::Task<void> Passage::pass_on(std::string_view data) {
  const bool chunked = exchange_.framing == wire::Framing::kChunked;
  const wire::ChunkHead chunk(data.size());
  for (Leg& leg : legs_) {
    // An answer before the end of the body: it has the blob, or wants none of it.
    if (leg.takes && leg.call.has_input()) leg.takes = false;
    if (leg.takes && chunked) co_await send(leg, chunk.view());
    if (leg.takes) co_await send(leg, data);
    if (leg.takes && chunked) co_await send(leg, "\r\n");
  }
}

net::Task<void> Passage::read_answers() {
  for (Leg& leg : legs_) {
    if (fared_[leg.index].error.empty()) co_await read_answer(leg);
  }
}

// What is not whole is no answer: nothing of it is told.
net::Task<void> Passage::read_answer(Leg& leg) {
  const Instant deadline = loop().now() + settings_.deadlines.document;
  const wire::Method method = exchange_.method;
  Result<void> head = co_await leg.call.read_head(method, deadline);
  if (!head) co_return failed(leg, head.error());
  std::string body;
  for (bool over = false; !over;) {
    Result<bool> more = co_await leg.call.read_more(body, deadline);
    if (!more) co_return failed(leg, more.error());
    over = !*more;
    if (body.size() > settings_.limits.document_bytes) co_return failed(leg, too_long());
  }
  jobs::Fared& fared = fared_[leg.index];
  fared.status = leg.call.status();
  fared.done = fared.status < 300;
  fared.type = leg.call.content_type();
  fared.body = std::move(body);
  if (fared.done) co_return;
  fared.error = fmt::format("status {}", fared.status);
  Result<wire::ProgressLine> said = wire::read_progress(fared.body);
  if (said && !said->error.empty()) fared.error = said->error;
}

}  // namespace drover::gateway
