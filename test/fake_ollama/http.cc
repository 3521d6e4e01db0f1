#include "fake_ollama/http.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "fake_ollama/wall_text.h"
#include "wire/http_body.h"

namespace drover::fake {
namespace {

// Ollama has no write timeout. This one only keeps a forgotten test from waiting for ever.
constexpr Duration kStall = std::chrono::hours(1);
constexpr Duration kLinger = std::chrono::milliseconds(500);
constexpr int kLingerReads = 4096;  // 256 MiB of a body that nobody wanted

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

void copy_head(const wire::RequestHead& head, Request& request) {
  request.method = head.method;
  request.method_text = head.method_text;
  request.path = head.path;
  request.host = head.authority;
  request.minor_version = head.minor_version;
  request.keep_alive = head.keep_alive;
  request.fields.clear();
  for (const wire::Field& field : head.fields) {
    request.fields.emplace_back(lower(field.name), std::string(field.value));
  }
  request.body.clear();
  request.body_bytes = 0;
}

}  // namespace

std::optional<std::string_view> Request::find(std::string_view lower_case_name) const {
  for (const auto& [name, value] : fields) {
    if (name == lower_case_name) return value;
  }
  return std::nullopt;
}

Connection::Connection(net::Loop& loop, std::unique_ptr<net::Stream> stream)
    : loop_(loop), stream_(std::move(stream)) {}

net::Task<bool> Connection::read_request(Request& request) {
  if (gone_.reason() == net::CancelReason::kShutdown) co_return false;
  stream_->watch_hangup(nullptr);
  gone_.reset();
  wire::RequestHead head;
  const bool have_head = co_await read_head(request, head);
  if (!have_head) co_return false;
  method_ = request.method;
  chunked_ = request.minor_version >= 1;
  keep_ = request.keep_alive;
  if (head.expect_continue) put("HTTP/1.1 100 Continue\r\n\r\n");
  const bool have_body = co_await read_body(request, std::move(head));
  if (!have_body) co_return false;
  stream_->watch_hangup(&gone_);
  co_return true;
}

net::Task<bool> Connection::fill() {
  for (;;) {
    const net::Io io = stream_->read(loop_.scratch());
    if (io.state == net::Io::State::kMoved) {
      buffer_.append(loop_.scratch().data(), io.bytes);
      co_return true;
    }
    if (io.state != net::Io::State::kWouldBlock) co_return false;
    const net::WaitResult ready = co_await stream_->readable(kNever, &gone_);
    if (ready != net::WaitResult::kReady) co_return false;
  }
}

net::Task<bool> Connection::read_head(Request& request, wire::RequestHead& head) {
  wire::RequestParser parser;
  for (;;) {
    if (!buffer_.empty()) {
      const auto parsed = parser.parse(buffer_, head);
      if (!parsed.ok()) {
        refuse_malformed();
        co_await linger();
        co_return false;
      }
      if (parsed->has_value()) break;
    }
    const bool more = co_await fill();
    if (!more) co_return false;
  }
  copy_head(head, request);
  buffer_.erase(0, head.bytes);
  co_return true;
}

// The views in `head` are stale here: its framing is all that counts.
net::Task<bool> Connection::read_body(Request& request, wire::RequestHead head) {
  if (head.framing == wire::Framing::kNone) co_return true;
  const bool keep_bytes = keep_blobs_ || !request.path.starts_with("/api/blobs/");
  if (keep_bytes && head.content_length < (1u << 30)) request.body.reserve(head.content_length);
  wire::BodyDecoder decoder(head.framing, head.content_length, Origin::kClient);
  std::size_t used = 0;
  while (!decoder.done()) {
    if (used == buffer_.size()) {
      buffer_.clear();
      used = 0;
      const bool more = co_await fill();
      if (!more) co_return false;
    }
    const auto step = decoder.next(std::string_view(buffer_).substr(used));
    if (!step.ok()) {
      refuse_malformed();
      co_await linger();
      co_return false;
    }
    used += step->consumed;
    request.body_bytes += step->data.size();
    if (keep_bytes) request.body += step->data;
  }
  buffer_.erase(0, used);
  co_return true;
}

void Connection::refuse_malformed() {
  keep_ = false;
  put("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
      "Connection: close\r\n\r\n400 Bad Request");
}

std::string Connection::head_text(int status, std::string_view content_type) const {
  std::string out = fmt::format("HTTP/1.1 {} {}\r\n", status, wire::reason_phrase(status));
  if (!content_type.empty()) out += fmt::format("Content-Type: {}\r\n", content_type);
  out += fmt::format("Date: {}\r\n", http_date(loop_.wall_now()));
  return out;
}

void Connection::answer(int status, std::string_view content_type, std::string_view body,
                        std::string_view more_fields) {
  std::string head = head_text(status, content_type);
  head += more_fields;
  head += fmt::format("Content-Length: {}\r\n", body.size());
  if (!keep_) head += "Connection: close\r\n";
  head += "\r\n";
  if (method_ == wire::Method::kHead) body = {};
  put(head, body);
}

void Connection::begin_stream(int status, std::string_view content_type) {
  if (!chunked_) keep_ = false;
  head_ = head_text(status, content_type);
  if (chunked_) head_ += "Transfer-Encoding: chunked\r\n";
  if (!keep_) head_ += "Connection: close\r\n";
  head_ += "\r\n";
}

void Connection::chunk(std::string_view payload) {
  if (payload.empty()) return;
  if (chunked_) {
    put(head_, wire::ChunkHead(payload.size()).view(), payload, "\r\n");
  } else {
    put(head_, payload);
  }
  head_.clear();
}

void Connection::end_stream(std::string_view last_payload) {
  if (!chunked_) {
    put(head_, last_payload);
  } else if (last_payload.empty()) {
    put(head_, wire::kLastChunk);
  } else {
    put(head_, wire::ChunkHead(last_payload.size()).view(), last_payload, "\r\n0\r\n\r\n");
  }
  head_.clear();
}

void Connection::put(std::string_view a, std::string_view b, std::string_view c,
                     std::string_view d) {
  if (failed_) return;
  const std::array<std::string_view, 4> all = {a, b, c, d};
  std::size_t sent = 0;
  if (backlog_.empty()) {
    std::array<std::string_view, 4> parts;
    std::size_t count = 0;
    for (std::string_view part : all) {
      if (!part.empty()) parts[count++] = part;
    }
    if (count == 0) return;
    const net::Io io = stream_->write(std::span<const std::string_view>(parts.data(), count));
    if (io.state == net::Io::State::kFailed) {
      failed_ = true;
      return;
    }
    if (io.state == net::Io::State::kMoved) sent = io.bytes;
  }
  for (std::string_view part : all) {
    const std::size_t skip = std::min(sent, part.size());
    backlog_ += part.substr(skip);
    sent -= skip;
  }
}

net::Task<bool> Connection::drain() {
  if (failed_) co_return false;
  if (backlog_.empty()) co_return !gone_.triggered();
  const std::array<std::string_view, 1> parts = {backlog_};
  const Result<void> sent = co_await net::write_all(*stream_, parts, kStall, &gone_);
  backlog_.clear();
  if (!sent.ok()) failed_ = true;
  co_return !failed_;
}

void Connection::cut() {
  reset();
  failed_ = true;
  gone_.trigger(net::CancelReason::kShutdown);
}

net::Task<void> Connection::linger() {
  const bool sent = co_await drain();
  if (!sent || was_reset_) co_return;
  stream_->finish_writing();
  const Instant until = loop_.now() + kLinger;
  for (int reads = 0; reads < kLingerReads; ++reads) {
    const net::Io io = stream_->read(loop_.scratch());
    if (io.state == net::Io::State::kMoved) continue;
    if (io.state != net::Io::State::kWouldBlock) co_return;
    const net::WaitResult ready = co_await stream_->readable(until, &gone_);
    if (ready != net::WaitResult::kReady) co_return;
  }
}

}  // namespace drover::fake
