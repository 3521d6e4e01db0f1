#include "probe/http_get.h"

#include <fmt/format.h>

#include <array>
#include <memory>
#include <vector>

#include "net/stream.h"
#include "wire/http_body.h"
#include "wire/http_head.h"

namespace drover::probe {
namespace {

Error bad(ErrorKind kind, std::string message) {
  return {kind, Origin::kInstance, Retry::kSafe, std::move(message)};
}

net::Task<Result<std::unique_ptr<net::Stream>>> dial(net::Loop& loop, net::Resolver& resolver,
                                                     net::HostPort address, Instant deadline,
                                                     net::Cancel* cancel) {
  Result<std::vector<net::Endpoint>> endpoints =
      co_await resolver.resolve(address, deadline, cancel);
  if (!endpoints) co_return std::move(endpoints).error();
  Error last = bad(ErrorKind::kResolve, "no address");
  for (const net::Endpoint& endpoint : *endpoints) {
    Result<std::unique_ptr<net::Stream>> stream =
        co_await loop.connect(endpoint, deadline, cancel);
    if (stream) co_return std::move(stream);
    last = std::move(stream).error();
  }
  co_return last;
}

// Appends what arrives to `input`; false at the end of the stream.
net::Task<Result<bool>> receive(net::Stream& stream, std::string& input, Instant deadline,
                                net::Cancel* cancel) {
  for (;;) {
    const net::WaitResult ready = co_await stream.readable(deadline, cancel);
    if (ready == net::WaitResult::kTimedOut) co_return bad(ErrorKind::kTimeout, "no answer in time");
    if (ready == net::WaitResult::kCancelled) co_return bad(ErrorKind::kCancelled, "called off");
    const net::Io io = stream.read(stream.loop().scratch());
    if (io.state == net::Io::State::kWouldBlock) continue;
    if (io.state == net::Io::State::kEnd) co_return false;
    if (io.state == net::Io::State::kFailed) {
      co_return bad(ErrorKind::kClosed, "the connection was reset");
    }
    if (input.size() + io.bytes > kMaxProbeBody) {
      co_return bad(ErrorKind::kUpstream, "the answer is too long");
    }
    input.append(stream.loop().scratch().data(), io.bytes);
    co_return true;
  }
}

Result<std::string> decode(const wire::ResponseHead& head, std::string_view input, bool ended,
                           bool& complete) {
  wire::BodyDecoder decoder(head.framing, head.content_length, Origin::kInstance);
  std::string body;
  while (!input.empty() && !decoder.done()) {
    Result<wire::BodyDecoder::Step> step = decoder.next(input);
    if (!step) return std::move(step).error();
    body.append(step->data);
    input.remove_prefix(step->consumed);
  }
  complete = decoder.done();
  if (!complete && ended) {
    Result<void> end = decoder.end();
    if (!end) return std::move(end).error();
    complete = true;
  }
  return body;
}

}  // namespace

net::Task<Result<GetAnswer>> http_get(net::Loop& loop, net::Resolver& resolver,
                                      net::HostPort address, std::string path, Instant deadline,
                                      net::Cancel* cancel) {
  Result<std::unique_ptr<net::Stream>> dialled =
      co_await dial(loop, resolver, address, deadline, cancel);
  if (!dialled) co_return std::move(dialled).error();
  net::Stream& stream = **dialled;
  const std::string request =
      fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: drover\r\nConnection: close\r\n\r\n",
                  path, address.to_string());
  const std::array<std::string_view, 1> parts = {request};
  Result<void> sent = co_await net::write_all(stream, parts, deadline - loop.now(), cancel);
  if (!sent) co_return std::move(sent).error();

  std::string input;
  wire::ResponseParser parser;
  wire::ResponseHead head;
  bool have_head = false;
  for (bool ended = false; !ended;) {
    Result<bool> more = co_await receive(stream, input, deadline, cancel);
    if (!more) co_return std::move(more).error();
    ended = !*more;
    Result<std::optional<std::size_t>> parsed = std::optional<std::size_t>(head.bytes);
    if (!have_head && !input.empty()) parsed = parser.parse(input, wire::Method::kGet, head);
    if (!parsed) co_return std::move(parsed).error();
    have_head = have_head || (!input.empty() && parsed->has_value());
    if (!have_head) continue;
    bool complete = false;
    Result<std::string> body =
        decode(head, std::string_view(input).substr(head.bytes), ended, complete);
    if (!body) co_return std::move(body).error();
    if (complete) co_return GetAnswer{head.status, std::move(*body)};
  }
  co_return bad(ErrorKind::kClosed, "the connection ended inside the answer");
}

}  // namespace drover::probe
