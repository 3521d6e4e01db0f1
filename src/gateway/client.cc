#include "gateway/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "wire/http_body.h"

namespace drover::gateway {
namespace {

// What a client may still send after its answer: a refused upload of twice the default limit.
constexpr std::uint64_t kLingerBytes = 256 * 1024 * 1024;
constexpr int kLingerWaits = 15;  // of `time` each, in all

void append_number(std::string& out, std::uint64_t number) {
  const fmt::format_int digits(number);
  out.append(digits.data(), digits.size());
}

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
  consumed_ += bytes;
  if (consumed_ == input_.size()) {
    input_.clear();
    consumed_ = 0;
  }
}

void Client::release_buffer() {
  std::string().swap(input_);  // an assignment would keep the room
  consumed_ = 0;
}

net::Task<Result<void>> Client::read_more(Instant deadline, net::Cancel* cancel) {
  for (;;) {
    const net::WaitResult ready = co_await stream_->readable(deadline, cancel);
    if (ready != net::WaitResult::kReady) co_return waited(ready);
    const std::span<char> room = loop().scratch();
    const net::Io io = stream_->read(room);
    if (io.state == net::Io::State::kWouldBlock) continue;
    if (io.state != net::Io::State::kMoved) co_return gone();
    // What is done with goes first: a client that never stops pipelining must not grow the buffer.
    input_.erase(0, std::exchange(consumed_, 0));
    input_.append(room.data(), io.bytes);
    co_return Result<void>();
  }
}

net::Task<Result<std::string_view>> Client::receive(Instant deadline, net::Cancel* cancel) {
  for (;;) {
    const net::WaitResult ready = co_await stream_->readable(deadline, cancel);
    if (ready != net::WaitResult::kReady) co_return waited(ready);
    const std::span<char> room = loop().scratch();
    const net::Io io = stream_->read(room);
    if (io.state == net::Io::State::kWouldBlock) continue;
    if (io.state != net::Io::State::kMoved) co_return gone();
    co_return std::string_view(room.data(), io.bytes);
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

std::string Client::head_text(const Answer& answer, std::string_view framing,
                              std::size_t room) const {
  std::string text;
  text.reserve(256 + answer.fields.size() + room);
  text += "HTTP/1.1 ";
  append_number(text, static_cast<std::uint64_t>(answer.status));
  text += ' ';
  text += wire::reason_phrase(answer.status);
  text += "\r\n";
  if (!answer.content_type.empty()) {
    text += "Content-Type: ";
    text += answer.content_type;
    text += "\r\n";
  }
  text += answer.fields;
  text += framing;
  if (!keep_alive_) {
    text += "Connection: close\r\n";
  } else if (minor_version_ == 0) {
    text += "Connection: keep-alive\r\n";
  }
  text += "\r\n";
  return text;
}

net::Task<Result<void>> Client::send_whole(Answer answer, std::string_view body, Duration stall,
                                           net::Cancel* cancel) {
  // A 204 has no body, so it announces none (RFC 9110 8.6).
  std::string framing;
  if (answer.status != 204) {
    framing = "Content-Length: ";
    append_number(framing, body.size());
    framing += "\r\n";
  }
  if (head_only_) body = {};
  const std::size_t joined = body.size() <= net::Stream::kJoinBytes ? body.size() : 0;
  std::string head = head_text(answer, framing, joined);
  head += body.substr(0, joined);
  body.remove_prefix(joined);
  const std::array<std::string_view, 2> parts = {head, body};
  co_await loop().late();
  Result<void> sent = co_await net::write_all(*stream_, parts, stall, cancel);
  if (sent) bytes_sent_ += head.size() + body.size();
  co_return sent;
}

std::string Client::stream_head(const Answer& answer) {
  if (minor_version_ == 0) keep_alive_ = false;  // only the close ends such an answer
  return head_text(answer, minor_version_ == 1 ? "Transfer-Encoding: chunked\r\n" : "", 0);
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
    const net::Io io = client.stream().read(client.loop().scratch());
    if (io.state == net::Io::State::kWouldBlock) continue;
    if (io.state != net::Io::State::kMoved) co_return;
    dropped += io.bytes;
  }
}

}  // namespace drover::gateway
