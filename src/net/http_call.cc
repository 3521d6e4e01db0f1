#include "net/http_call.h"

#include <array>
#include <utility>
#include <vector>

namespace drover::net {
namespace {

constexpr int kMostInterim = 8;  // 1xx before the answer: more is an attack

Error bad(ErrorKind kind, std::string message) {
  return {kind, Origin::kInstance, Retry::kSafe, std::move(message)};
}

}  // namespace

Task<Result<void>> HttpCall::connect(Resolver& resolver, HostPort address, Instant deadline) {
  Result<std::vector<Endpoint>> endpoints = co_await resolver.resolve(address, deadline, cancel_);
  if (!endpoints) co_return std::move(endpoints).error();
  Error last = bad(ErrorKind::kResolve, "no address");
  for (const Endpoint& endpoint : *endpoints) {
    Result<std::unique_ptr<Stream>> stream = co_await loop_.connect(endpoint, deadline, cancel_);
    if (stream) {
      stream_ = std::move(*stream);
      co_return Result<void>();
    }
    if (stream.error().origin == Origin::kSelf) co_return std::move(stream).error();
    // Of several addresses, the one that says "nobody listens" tells most.
    if (last.kind != ErrorKind::kRefused) last = std::move(stream).error();
  }
  co_return last;
}

Task<Result<void>> HttpCall::send(std::string_view bytes, Duration stall) {
  const std::array<std::string_view, 1> parts = {bytes};
  Result<void> sent = co_await write_all(*stream_, parts, stall, cancel_);
  if (!sent) co_return bad(sent.error().kind, std::move(sent).error().message);
  co_return sent;
}

// True: bytes were appended to the input. False: the connection ended.
Task<Result<bool>> HttpCall::receive(Instant deadline) {
  for (;;) {
    const WaitResult ready = co_await stream_->readable(deadline, cancel_);
    if (ready == WaitResult::kTimedOut) co_return bad(ErrorKind::kTimeout, "no answer in time");
    if (ready == WaitResult::kCancelled) co_return bad(ErrorKind::kCancelled, "called off");
    const Arrived got = stream_->receive();
    if (got.state == Io::State::kWouldBlock) continue;
    if (got.state == Io::State::kEnd) co_return false;
    if (got.state == Io::State::kFailed) {
      co_return bad(ErrorKind::kClosed, "the connection was reset");
    }
    input_.append(got.bytes);
    co_return true;
  }
}

// True: the head of the answer itself was taken off the input.
Result<bool> HttpCall::take_head(wire::Method request) {
  wire::ResponseHead head;
  for (; interim_ <= kMostInterim; ++interim_) {
    Result<std::optional<std::size_t>> parsed = parser_.parse(input_, request, head);
    if (!parsed) return std::move(parsed).error();
    if (!parsed->has_value()) return false;
    if (head.status == 101) return bad(ErrorKind::kUpstream, "it went over to another protocol");
    const bool final = head.status >= 200;
    if (final) {
      status_ = head.status;
      content_type_ = head.find("content-type").value_or("");
      decoder_.emplace(head.framing, head.content_length, Origin::kInstance);
    }
    input_.erase(0, head.bytes);
    if (final) return true;
  }
  return bad(ErrorKind::kUpstream, "too many interim answers");
}

Task<Result<void>> HttpCall::read_head(wire::Method request, Instant deadline) {
  for (;;) {
    Result<bool> taken = take_head(request);
    if (!taken) co_return std::move(taken).error();
    if (*taken) co_return Result<void>();
    Result<bool> more = co_await receive(deadline);
    if (!more) co_return std::move(more).error();
    if (!*more) co_return bad(ErrorKind::kClosed, "the connection ended inside the answer");
  }
}

Task<Result<bool>> HttpCall::read_more(std::string& into, Instant deadline) {
  const std::size_t before = into.size();
  for (;;) {
    std::size_t used = 0;
    while (used < input_.size() && !decoder_->done()) {
      Result<wire::BodyDecoder::Step> step = decoder_->next(std::string_view(input_).substr(used));
      if (!step) co_return std::move(step).error();
      used += step->consumed;
      into.append(step->data);
    }
    input_.erase(0, used);
    if (into.size() > before) co_return true;
    if (decoder_->done()) co_return false;
    Result<bool> more = co_await receive(deadline);
    if (!more) co_return std::move(more).error();
    if (*more) continue;
    Result<void> end = decoder_->end();
    if (!end) co_return std::move(end).error();
    co_return false;
  }
}

}  // namespace drover::net
