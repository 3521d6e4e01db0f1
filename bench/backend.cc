#include "backend.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "head.h"
#include "texts.h"

namespace drover::bench {
namespace {

constexpr std::uint32_t kListener = 0;  // slot 0 is no connection
constexpr std::size_t kMaxHead = 64 * 1024;

constexpr std::string_view kDetails =
    R"("details":{"parent_model":"","format":"gguf","family":"llama","families":["llama"],)"
    R"("parameter_size":"8.0B","quantization_level":"Q4_K_M"})";

std::string tags() {
  return fmt::format(
      R"({{"models":[{{"name":"{0}:latest","model":"{0}:latest",)"
      R"("modified_at":"2026-01-01T00:00:00Z","size":4920753328,"digest":"{1:064x}",{2}}}]}})",
      kModel, 1, kDetails);
}

std::string residency() {
  return fmt::format(
      R"({{"models":[{{"name":"{0}:latest","model":"{0}:latest","size":5000000000,)"
      R"("digest":"{1:064x}",{2},"expires_at":"2318-01-01T00:00:00Z","size_vram":5000000000,)"
      R"("context_length":4096}}]}})",
      kModel, 1, kDetails);
}

std::string http_answer(std::string_view status, std::string_view type, std::string_view body) {
  return fmt::format(
      "HTTP/1.1 {}\r\nContent-Type: {}\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
      "Content-Length: {}\r\n\r\n{}",
      status, type, body.size(), body);
}

std::string json_answer(std::string_view body) {
  return http_answer("200 OK", "application/json; charset=utf-8", body);
}

constexpr std::string_view kStreamHead =
    "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n"
    "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nTransfer-Encoding: chunked\r\n\r\n";

struct Connection {
  Fd fd;
  std::string head;             // of a request, until it is whole
  std::string beginning;        // of its body
  std::uint64_t body_left = 0;  // bytes of the body that are still to come
  std::string out;              // what the socket did not take
  bool in_body = false;
  bool post = false;
  std::uint32_t stream_length = 0;  // of the stream under way; 0: none
  std::uint32_t sent = 0;           // its records so far
  std::uint32_t generation = 0;     // tells a tick from one of an earlier user of the slot
};

struct Tick {
  std::uint64_t due;
  std::uint32_t slot;
  std::uint32_t generation;
};

class Backend {
 public:
  Backend(Fd listener, const BackendOptions& options)
      : options_(options), listener_(std::move(listener)), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    slots_.resize(1);
    watch(epoll_, EPOLL_CTL_ADD, listener_.get(), EPOLLIN, kListener);
  }

  [[noreturn]] void run() {
    for (;;) {
      const std::uint64_t due = ticks_.empty() ? kNever : ticks_.front().due;
      for (const epoll_event& event : wait_events(epoll_, events_, due)) {
        if (event.data.u32 == kListener) {
          accept_all();
        } else {
          serve(event.data.u32, event.events);
        }
      }
      tick(now_ns());
    }
  }

 private:
  void accept_all() {
    for (Fd fd = accept_client(listener_); fd.valid(); fd = accept_client(listener_)) {
      if (free_.empty()) {
        free_.push_back(static_cast<std::uint32_t>(slots_.size()));
        slots_.push_back(std::make_unique<Connection>());
      }
      const std::uint32_t slot = free_.back();
      free_.pop_back();
      const std::uint32_t generation = slots_[slot]->generation + 1;
      *slots_[slot] = Connection();
      slots_[slot]->generation = generation;
      slots_[slot]->fd = std::move(fd);
      watch(epoll_, EPOLL_CTL_ADD, slots_[slot]->fd.get(), EPOLLIN, slot);
    }
  }

  void drop(std::uint32_t slot) {
    slots_[slot]->fd = Fd();
    ++slots_[slot]->generation;
    free_.push_back(slot);
  }

  void serve(std::uint32_t slot, std::uint32_t events) {
    Connection& connection = *slots_[slot];
    if (!connection.fd.valid()) return;
    if ((events & EPOLLOUT) != 0 && !flush(slot)) return drop(slot);
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) return;
    const bool discards = connection.in_body && connection.beginning.size() == kTellingBytes &&
                          connection.body_left > 1;
    if (!(discards ? discard(connection) : receive(slot))) drop(slot);
  }

  // The middle of a long body: the kernel throws it away without copying it. The last byte is
  // read, to see that the body arrived as it was sent.
  static bool discard(Connection& connection) {
    const ssize_t count =
        ::recv(connection.fd.get(), nullptr, connection.body_left - 1, MSG_TRUNC | MSG_DONTWAIT);
    if (count < 0) return errno == EAGAIN;
    connection.body_left -= static_cast<std::uint64_t>(count);
    return count > 0;
  }

  bool receive(std::uint32_t slot) {
    Connection& connection = *slots_[slot];
    const ssize_t count = ::recv(connection.fd.get(), scratch_.data(), scratch_.size(), 0);
    if (count < 0) return errno == EAGAIN;
    if (count == 0 || connection.stream_length > 0) return false;  // nobody pipelines here
    std::string_view bytes(scratch_.data(), static_cast<std::size_t>(count));
    if (!connection.in_body) {
      connection.head.append(bytes);
      const std::size_t end = connection.head.find(kHeadEnd);
      if (end == std::string::npos) return connection.head.size() < kMaxHead;
      const std::size_t behind = connection.head.size() - end - kHeadEnd.size();
      bytes.remove_prefix(bytes.size() - behind);
      connection.head.resize(end + kHeadEnd.size());
      if (!begin_body(connection)) return false;
    }
    return take_body(slot, bytes);
  }

  static bool begin_body(Connection& connection) {
    const HeadFacts facts = read_head(connection.head);
    if (facts.chunked) return false;  // no proxy here is sent a chunked body
    connection.post = facts.start.starts_with("POST ");
    connection.body_left = facts.content_length.value_or(0);
    connection.in_body = true;
    connection.beginning.clear();
    return true;
  }

  bool take_body(std::uint32_t slot, std::string_view bytes) {
    Connection& connection = *slots_[slot];
    if (bytes.size() > connection.body_left) return false;  // more than was announced
    connection.body_left -= bytes.size();
    const std::size_t wanted = kTellingBytes - connection.beginning.size();
    connection.beginning.append(bytes.substr(0, wanted));
    if (connection.body_left > 0) return true;
    const bool whole = !connection.post || (bytes.ends_with('}') && !connection.beginning.empty());
    connection.in_body = false;
    return whole ? answer(slot) : send(slot, broken_);
  }

  bool answer(std::uint32_t slot) {
    Connection& connection = *slots_[slot];
    const std::string_view start = std::string_view(connection.head).substr(0, kTellingBytes);
    const std::string* text = &not_found_;
    if (start.starts_with("POST /api/generate ") || start.starts_with("POST /api/chat ")) {
      if (wanted_answer(connection.beginning) == Answer::kStream) return begin_stream(slot);
      text = &document_;
    }
    if (start.starts_with("GET /api/tags ")) text = &tags_;
    if (start.starts_with("GET /api/ps ")) text = &residency_;
    if (start.starts_with("GET /api/version ")) text = &version_;
    if (start.starts_with("GET / ")) text = &root_;
    connection.head.clear();
    return send(slot, *text);
  }

  bool begin_stream(std::uint32_t slot) {
    Connection& connection = *slots_[slot];
    connection.head.clear();
    connection.sent = 0;
    connection.stream_length = options_.records;
    if (streams_ < options_.staggered) {
      connection.stream_length = 1 + (streams_ * options_.records) / options_.staggered;
    }
    ++streams_;
    return send_record(slot, now_ns());
  }

  // Since all intervals are equal, the queue of ticks stays in order by itself.
  void tick(std::uint64_t now) {
    while (!ticks_.empty() && ticks_.front().due <= now) {
      const Tick tick = ticks_.front();
      ticks_.pop_front();
      if (slots_[tick.slot]->generation != tick.generation) continue;
      if (!send_record(tick.slot, tick.due)) drop(tick.slot);
    }
  }

  bool send_record(std::uint32_t slot, std::uint64_t due) {
    Connection& connection = *slots_[slot];
    std::string& text = record_text_;
    text.clear();
    if (connection.sent == 0) text = kStreamHead;
    if (connection.sent == connection.stream_length) {
      const std::string last = last_record(connection.sent);
      text += fmt::format("{:x}\r\n{}\r\n0\r\n\r\n", last.size(), last);
      connection.stream_length = 0;
      return send(slot, text);
    }
    const std::size_t begin = text.size();
    text.append(kChunk);
    write_record(text.data() + begin + kChunkHead, {now_ns(), connection.sent});
    ++connection.sent;
    ticks_.push_back({due + options_.interval_ns, slot, connection.generation});
    return send(slot, text);
  }

  bool send(std::uint32_t slot, std::string_view text) {
    Connection& connection = *slots_[slot];
    ssize_t count = 0;
    if (connection.out.empty()) {
      count = ::send(connection.fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (count < 0 && errno != EAGAIN) return false;
      count = std::max<ssize_t>(count, 0);
      if (static_cast<std::size_t>(count) == text.size()) return true;
      watch(epoll_, EPOLL_CTL_MOD, connection.fd.get(), EPOLLIN | EPOLLOUT, slot);
    }
    connection.out.append(text.substr(static_cast<std::size_t>(count)));
    return true;
  }

  bool flush(std::uint32_t slot) {
    Connection& connection = *slots_[slot];
    const ssize_t count =
        ::send(connection.fd.get(), connection.out.data(), connection.out.size(), MSG_NOSIGNAL);
    if (count < 0) return errno == EAGAIN;
    connection.out.erase(0, static_cast<std::size_t>(count));
    if (connection.out.empty()) {
      watch(epoll_, EPOLL_CTL_MOD, connection.fd.get(), EPOLLIN, slot);
    }
    return true;
  }

  static constexpr std::size_t kChunkHead = 4;  // "6a\r\n"
  const std::string kChunk =
      fmt::format("{:x}\r\n{}\r\n", kRecordBytes, std::string(kRecordBytes, ' '));

  BackendOptions options_;
  Fd listener_;
  Fd epoll_;
  std::array<epoll_event, 512> events_{};
  std::array<char, 64 * 1024> scratch_{};
  std::vector<std::unique_ptr<Connection>> slots_;
  std::vector<std::uint32_t> free_;
  std::deque<Tick> ticks_;
  std::uint64_t streams_ = 0;
  std::string record_text_;
  const std::string document_ = json_answer(document());
  const std::string tags_ = json_answer(tags());
  const std::string residency_ = json_answer(residency());
  const std::string version_ = json_answer(R"({"version":"0.13.0"})");
  const std::string root_ = http_answer("200 OK", "text/plain; charset=utf-8", "Ollama is running");
  const std::string not_found_ = http_answer("404 Not Found", "text/plain", "404 page not found");
  const std::string broken_ = http_answer("400 Bad Request", "application/json",
                                          R"({"error":"the body did not arrive as it was sent"})");
};

}  // namespace

void run_backend(Fd listener, const BackendOptions& options) {
  // On the heap, for its buffers.
  std::make_unique<Backend>(std::move(listener), options)->run();
}

}  // namespace drover::bench
