#include "gateway/client.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/put.h"
#include "wire/http_body.h"

namespace drover::gateway {
namespace {

// What a client may still send after its answer: a refused upload of twice the default limit.
constexpr std::uint64_t kLingerBytes = 256 * 1024 * 1024;
constexpr int kLingerWaits = 15;  // of `time` each, in all

Error gone() {
  return {ErrorKind::kClosed, Origin::kClient, Retry::kNever, "the client closed its connection"};
}

Error waited(net::WaitResult result) {
  if (result == net::WaitResult::kTimedOut) {
    return {ErrorKind::kTimeout, Origin::kClient, Retry::kNever, "the client was too slow"};
  }
  return {ErrorKind::kCancelled, Origin::kClient, Retry::kNever, "nobody waits for this any more"};
}

}  // namespace

Client::Client(std::unique_ptr<net::Stream> stream)
    : stream_(std::move(stream)), peer_(stream_->peer().address_text()) {}

void Client::consume(std::size_t bytes) {
  if (!arrived_.empty()) return arrived_.remove_prefix(bytes);
  consumed_ += bytes;
  if (consumed_ == input_.size()) {
    input_.clear();
    consumed_ = 0;
  }
}

void Client::keep() {
  if (arrived_.empty()) return;
  input_ = loop().take_buffer();
  input_.assign(std::exchange(arrived_, {}));
}

void Client::release_buffer() {
  DROVER_ASSERT(buffered().empty());
  const bool has_one = input_.capacity() > std::string().capacity();
  if (!has_one) return;
  loop().give_buffer(std::exchange(input_, std::string()));
  consumed_ = 0;
}

Result<void> Client::take_more(net::WaitResult ready) {
  if (ready != net::WaitResult::kReady) return waited(ready);
  const net::Arrived got = stream_->receive();
  if (got.state == net::Io::State::kWouldBlock) return {};
  if (got.state != net::Io::State::kMoved) return gone();
  DROVER_ASSERT(is_kept());
  if (input_.empty()) {
    arrived_ = got.bytes;
    return {};
  }
  // What is done with goes first: a client that never stops pipelining must not grow the buffer.
  input_.erase(0, std::exchange(consumed_, 0));
  input_.append(got.bytes);
  return {};
}

net::Task<Result<std::string_view>> Client::receive(Instant deadline, net::Cancel* cancel) {
  DROVER_ASSERT(buffered().empty());
  for (;;) {
    const net::WaitResult ready = co_await stream_->readable(deadline, cancel);
    if (ready != net::WaitResult::kReady) co_return waited(ready);
    const net::Arrived got = stream_->receive();
    if (got.state == net::Io::State::kWouldBlock) continue;
    if (got.state != net::Io::State::kMoved) co_return gone();
    co_return got.bytes;
  }
}

void Client::cut_short() {
  close_after_answer();
  cut_short_ = true;
  stream_->reset_on_close();
}

void Client::begin_request(const wire::RequestHead& head) {
  minor_version_ = head.minor_version;
  keep_alive_ = head.keep_alive;
  head_only_ = head.method == wire::Method::kHead;
}

// Bytes that put_head() may write.
std::size_t Client::head_bound(const Answer& answer) {
  constexpr std::size_t kFixed = 256;  // the status line, names, framing
  return kFixed + answer.content_type.size() + answer.fields.size() + answer.request_id.size() +
         answer.backend.size() + answer.why.size();
}

char* Client::put_head(char* at, const Answer& answer, BodyIs body_is, std::uint64_t bytes) const {
  const auto line = [&at](std::string_view name, std::string_view value) {
    if (value.empty()) return;
    at = put(at, name);
    at = put(at, value);
    at = put(at, "\r\n");
  };
  at = put(at, "HTTP/1.1 ");
  at = put_number(at, static_cast<std::uint64_t>(answer.status));
  at = put(at, ' ');
  at = put(at, wire::reason_phrase(answer.status));
  at = put(at, "\r\n");
  line("Content-Type: ", answer.content_type);
  line("X-Request-ID: ", answer.request_id);
  at = put(at, answer.fields);
  line("X-Drover-Backend: ", answer.backend);
  line("X-Drover-Why: ", answer.why);
  if (body_is == BodyIs::kCounted) {
    at = put(at, "Content-Length: ");
    at = put_number(at, bytes);
    at = put(at, "\r\n");
  } else if (body_is == BodyIs::kChunked) {
    at = put(at, "Transfer-Encoding: chunked\r\n");
  }
  if (!keep_alive_) {
    at = put(at, "Connection: close\r\n");
  } else if (minor_version_ == 0) {
    at = put(at, "Connection: keep-alive\r\n");
  }
  return put(at, "\r\n");
}

net::Task<Result<void>> Client::send_whole(Answer answer, std::string_view body, Duration stall,
                                           net::Cancel* cancel) {
  DROVER_ASSERT(is_kept());
  // A 204 has no body, so it announces none (RFC 9110 8.6).
  const BodyIs body_is = answer.status == 204 ? BodyIs::kNone : BodyIs::kCounted;
  const std::uint64_t bytes = body.size();
  if (head_only_) body = {};
  const std::string_view joined =
      body.size() <= net::Stream::kJoinBytes ? body : std::string_view();
  body.remove_prefix(joined.size());
  const std::size_t bound = head_bound(answer) + joined.size();
  co_await loop().late();
  // Nearly always the kernel takes it all at once, straight from the loop's scratch.
  std::string own;
  if (bound > loop().scratch().size()) own.resize(bound);
  char* const begin = own.empty() ? loop().scratch().data() : own.data();
  const char* const end = put(put_head(begin, answer, body_is, bytes), joined);
  std::string_view head(begin, static_cast<std::size_t>(end - begin));
  const std::size_t total = head.size() + body.size();
  net::Io io;
  if (cancel == nullptr || !cancel->triggered()) {
    io = stream_->write(std::array<std::string_view, 2>{head, body});
  }
  if (io.state == net::Io::State::kFailed) co_return gone();
  if (io.bytes < total) {
    const std::size_t of_head = std::min(io.bytes, head.size());
    body.remove_prefix(io.bytes - of_head);
    Result<void> sent =
        co_await send_behind(std::string(head.substr(of_head)), body, stall, cancel);
    if (!sent) co_return sent;
  }
  bytes_sent_ += total;
  // What is left to do with this request goes behind the sends that are still to be made.
  co_await loop().late();
  co_return Result<void>();
}

net::Task<Result<void>> Client::send_behind(std::string head, std::string_view body, Duration stall,
                                            net::Cancel* cancel) {
  const std::array<std::string_view, 2> parts = {head, body};
  co_return co_await net::write_all(*stream_, parts, stall, cancel);
}

std::string Client::stream_head(const Answer& answer) {
  DROVER_ASSERT(is_kept());
  if (minor_version_ == 0) keep_alive_ = false;  // only the close ends such an answer
  std::string text(head_bound(answer), '\0');
  const BodyIs body_is = minor_version_ == 1 ? BodyIs::kChunked : BodyIs::kNone;
  const char* const end = put_head(text.data(), answer, body_is, 0);
  text.resize(static_cast<std::size_t>(end - text.data()));
  return text;
}

std::string_view Client::stream_end() const {
  return minor_version_ == 1 ? wire::kLastChunk : std::string_view();
}

Result<std::string> Client::send_now(std::string_view before,
                                     std::span<const std::string_view> pieces,
                                     std::string_view after) {
  std::uint64_t bytes = 0;
  for (const std::string_view piece : pieces) bytes += piece.size();
  const bool chunked = minor_version_ == 1 && bytes > 0;  // an empty chunk would end the body
  const wire::ChunkHead chunk(chunked ? bytes : 1);
  std::array<std::string_view, net::Stream::kMaxParts> parts;
  std::size_t count = 0;
  if (!before.empty()) parts[count++] = before;
  if (chunked) parts[count++] = chunk.view();
  for (const std::string_view piece : pieces) parts[count++] = piece;
  if (chunked) parts[count++] = "\r\n";
  if (!after.empty()) parts[count++] = after;

  return send_parts(std::span(parts.data(), count));
}

Result<std::string> Client::send_framed_now(std::string_view before, std::string_view chunks) {
  const std::array<std::string_view, 2> parts = {before, chunks};
  return send_parts(before.empty() ? std::span(parts).subspan(1) : std::span(parts));
}

Result<std::string> Client::send_parts(std::span<const std::string_view> parts) {
  std::string rest;
  if (parts.empty()) return rest;
  const net::Io io = stream_->write(parts);
  if (io.state == net::Io::State::kFailed) return gone();
  std::size_t sent = io.state == net::Io::State::kMoved ? io.bytes : 0;
  bytes_sent_ += sent;
  for (const std::string_view part : parts) {
    const std::size_t skip = std::min(sent, part.size());
    if (skip < part.size()) rest.append(part.substr(skip));
    sent -= skip;
  }
  return rest;
}

void Client::frame(std::string& out, std::span<const std::string_view> pieces,
                   std::string_view after) const {
  std::uint64_t bytes = 0;
  for (const std::string_view piece : pieces) bytes += piece.size();
  const bool chunked = minor_version_ == 1 && bytes > 0;
  if (chunked) out += wire::ChunkHead(bytes).view();
  for (const std::string_view piece : pieces) out += piece;
  if (chunked) out += "\r\n";
  out += after;
}

net::Task<Result<void>> Client::send_rest(std::string rest, Duration stall, net::Cancel* cancel) {
  DROVER_ASSERT(is_kept());
  const std::array<std::string_view, 1> parts = {rest};
  Result<void> sent = co_await net::write_all(*stream_, parts, stall, cancel);
  if (sent) bytes_sent_ += rest.size();
  co_return sent;
}

net::Task<void> linger(Client& client, Duration time) {
  client.stream().watch_hangup(nullptr);
  client.stream().finish_writing();
  const Instant end = client.loop().now() + time * kLingerWaits;
  std::uint64_t dropped = 0;
  while (dropped < kLingerBytes) {
    const Instant deadline = std::min(end, client.loop().now() + time);
    const net::WaitResult ready = co_await client.stream().readable(deadline);
    if (ready != net::WaitResult::kReady) co_return;
    const net::Arrived got = client.stream().receive();
    if (got.state == net::Io::State::kWouldBlock) continue;
    if (got.state != net::Io::State::kMoved) co_return;
    dropped += got.bytes.size();
  }
}

}  // namespace drover::gateway
