#include "probe/http_get.h"

#include <fmt/format.h>

#include <array>
#include <memory>
#include <optional>
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
    Result<std::unique_ptr<net::Stream>> stream = co_await loop.connect(endpoint, deadline, cancel);
    if (stream) co_return std::move(stream);
    if (stream.error().origin == Origin::kSelf) co_return std::move(stream).error();
    // Of several addresses, the one that says "nobody listens" tells most.
    if (last.kind != ErrorKind::kRefused) last = std::move(stream).error();
  }
  co_return last;
}

// What has arrived, in the loop's scratch; empty at the end of the stream.
net::Task<Result<std::string_view>> receive(net::Stream& stream, Instant deadline,
                                            net::Cancel* cancel) {
  for (;;) {
    const net::WaitResult ready = co_await stream.readable(deadline, cancel);
    if (ready == net::WaitResult::kTimedOut)
      co_return bad(ErrorKind::kTimeout, "no answer in time");
    if (ready == net::WaitResult::kCancelled) co_return bad(ErrorKind::kCancelled, "called off");
    const net::Io io = stream.read(stream.loop().scratch());
    if (io.state == net::Io::State::kWouldBlock) continue;
    if (io.state == net::Io::State::kEnd) co_return std::string_view();
    if (io.state == net::Io::State::kFailed) {
      co_return bad(ErrorKind::kClosed, "the connection was reset");
    }
    co_return std::string_view(stream.loop().scratch().data(), io.bytes);
  }
}

// Takes an answer apart as it arrives.
class AnswerReader {
 public:
  // True: the answer is complete.
  Result<bool> take(std::string_view piece) {
    if (!decoder_) {
      head_bytes_.append(piece);
      Result<std::optional<std::size_t>> parsed =
          parser_.parse(head_bytes_, wire::Method::kGet, head_);
      if (!parsed) return std::move(parsed).error();
      if (!parsed->has_value()) return false;
      decoder_.emplace(head_.framing, head_.content_length, Origin::kInstance);
      piece = std::string_view(head_bytes_).substr(head_.bytes);
    }
    while (!piece.empty() && !decoder_->done()) {
      Result<wire::BodyDecoder::Step> step = decoder_->next(piece);
      if (!step) return std::move(step).error();
      if (body_.size() + step->data.size() > kMaxProbeBody) {
        return bad(ErrorKind::kUpstream, "the answer is too long");
      }
      body_.append(step->data);
      piece.remove_prefix(step->consumed);
    }
    return decoder_->done();
  }

  // The connection ended.
  Result<void> end() {
    if (decoder_) return decoder_->end();
    return bad(ErrorKind::kClosed, "the connection ended inside the answer");
  }

  GetAnswer answer() && { return {head_.status, std::move(body_)}; }

 private:
  wire::ResponseParser parser_;
  wire::ResponseHead head_;
  std::string head_bytes_;
  std::optional<wire::BodyDecoder> decoder_;
  std::string body_;
};

net::Task<Result<GetAnswer>> ask(net::Loop& loop, net::Resolver& resolver, net::HostPort address,
                                 std::string request, Instant deadline, net::Cancel* cancel) {
  Result<std::unique_ptr<net::Stream>> dialled =
      co_await dial(loop, resolver, address, deadline, cancel);
  if (!dialled) co_return std::move(dialled).error();
  net::Stream& stream = **dialled;
  const std::array<std::string_view, 1> parts = {request};
  Result<void> sent = co_await net::write_all(stream, parts, deadline - loop.now(), cancel);
  if (!sent) co_return bad(sent.error().kind, std::move(sent).error().message);

  AnswerReader reader;
  for (;;) {
    Result<std::string_view> piece = co_await receive(stream, deadline, cancel);
    if (!piece) co_return std::move(piece).error();
    if (piece->empty()) break;
    Result<bool> complete = reader.take(*piece);
    if (!complete) co_return std::move(complete).error();
    if (*complete) co_return std::move(reader).answer();
  }
  Result<void> end = reader.end();
  if (!end) co_return std::move(end).error();
  co_return std::move(reader).answer();
}

}  // namespace

net::Task<Result<GetAnswer>> http_get(net::Loop& loop, net::Resolver& resolver,
                                      net::HostPort address, std::string path, Instant deadline,
                                      net::Cancel* cancel) {
  std::string request =
      fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: drover\r\nConnection: close\r\n\r\n",
                  path, address.to_string());
  Result<GetAnswer> answer =
      co_await ask(loop, resolver, std::move(address), std::move(request), deadline, cancel);
  co_return answer;
}

net::Task<Result<GetAnswer>> http_post(net::Loop& loop, net::Resolver& resolver,
                                       net::HostPort address, std::string path, std::string body,
                                       Instant deadline, net::Cancel* cancel) {
  std::string request = fmt::format(
      "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: drover\r\nContent-Type: application/json\r\n"
      "Content-Length: {}\r\nConnection: close\r\n\r\n{}",
      path, address.to_string(), body.size(), body);
  Result<GetAnswer> answer =
      co_await ask(loop, resolver, std::move(address), std::move(request), deadline, cancel);
  co_return answer;
}

}  // namespace drover::probe
