#include "gateway/sim_client.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "wire/http_body.h"
#include "wire/http_head.h"

namespace drover::simtest {
namespace {

constexpr Duration kStall = std::chrono::hours(10);

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// Takes the body off the front of `bytes`. False: it is broken.
bool read_body(const wire::ResponseHead& head, std::string_view& bytes, bool ended, Reply& reply) {
  wire::BodyDecoder decoder(head.framing, head.content_length, Origin::kInstance);
  while (!bytes.empty() && !decoder.done()) {
    const auto step = decoder.next(bytes);
    if (!step.ok()) return false;
    reply.body += step->data;
    bytes.remove_prefix(step->consumed);
  }
  const bool by_close = ended && head.framing == wire::Framing::kUntilClose;
  reply.complete = decoder.done() || by_close;
  return true;
}

}  // namespace

std::string Reply::field(std::string_view lower_case_name) const {
  for (const auto& [name, value] : fields) {
    if (name == lower_case_name) return value;
  }
  return {};
}

void Client::connect(net::Endpoint to) {
  started_ = true;
  ++tasks_;
  loop_.spawn(live(to));
}

void Client::say(std::string_view bytes) {
  outbox_ += bytes;
  wake_writer_.set();
}

void Client::finish() {
  finishing_ = true;
  wake_writer_.set();
}

void Client::go_on_reading() {
  reads_ = true;
  wake_reader_.set();
}

net::Task<void> Client::live(net::Endpoint to) {
  auto made = co_await loop_.connect(to, loop_.now() + std::chrono::seconds(30), &leaving_);
  if (made.ok()) {
    stream_ = std::move(made).value();
    connected_ = true;
    ++tasks_;
    loop_.spawn(write());
    co_await read();
  }
  // Whoever is closed to stops writing too.
  leaving_.trigger(net::CancelReason::kShutdown);
  task_ended();
}

void Client::task_ended() {
  if (--tasks_ == 0) stream_.reset();
}

net::Task<void> Client::write() {
  while (!leaving_.triggered()) {
    wake_writer_.clear();
    if (!outbox_.empty()) {
      const std::string out = std::exchange(outbox_, {});
      const std::array<std::string_view, 1> parts = {out};
      const Result<void> sent = co_await net::write_all(*stream_, parts, kStall, &leaving_);
      if (!sent.ok()) break;
      continue;
    }
    if (finishing_) {
      stream_->finish_writing();
      break;
    }
    (void)co_await wake_writer_.wait(kNever, &leaving_);
  }
  task_ended();
}

net::Task<void> Client::read() {
  for (;;) {
    if (!reads_) {
      wake_reader_.clear();
      const net::WaitResult woken = co_await wake_reader_.wait(kNever, &leaving_);
      if (woken == net::WaitResult::kCancelled) co_return;
      continue;
    }
    const net::WaitResult ready = co_await stream_->readable(kNever, &leaving_);
    if (ready != net::WaitResult::kReady) co_return;
    if (!reads_) continue;
    const net::Io io = stream_->read(loop_.scratch());
    if (io.state == net::Io::State::kWouldBlock) continue;
    if (io.state == net::Io::State::kMoved) {
      raw_.append(loop_.scratch().data(), io.bytes);
      last_byte_ = loop_.now();
      continue;
    }
    reset_ = io.state == net::Io::State::kFailed;
    ended_ = !reset_;
    closed_at_ = loop_.now();
    co_return;
  }
}

bool Client::parse(const std::vector<bool>& heads, std::vector<Reply>& into) const {
  std::string_view rest = raw_;
  while (!rest.empty()) {
    const bool head_only = into.size() < heads.size() && heads[into.size()];
    wire::ResponseParser parser;
    wire::ResponseHead head;
    const auto parsed =
        parser.parse(rest, head_only ? wire::Method::kHead : wire::Method::kPost, head);
    if (!parsed.ok()) return false;
    if (!parsed->has_value()) return true;
    Reply reply;
    reply.status = head.status;
    reply.minor_version = head.minor_version;
    reply.chunked = head.framing == wire::Framing::kChunked;
    for (const wire::Field& field : head.fields) {
      reply.fields.emplace_back(lower(field.name), std::string(field.value));
    }
    rest.remove_prefix(head.bytes);
    if (head.status >= 100 && head.status < 200) continue;
    const bool sound = read_body(head, rest, ended_, reply);
    into.push_back(std::move(reply));
    if (!sound) return false;
  }
  return true;
}

std::vector<Reply> Client::replies(const std::vector<bool>& heads) const {
  std::vector<Reply> found;
  (void)parse(heads, found);
  return found;
}

Reply Client::reply(bool head) const {
  std::vector<Reply> found = replies({head});
  return found.empty() ? Reply{} : std::move(found.front());
}

bool Client::malformed() const {
  std::vector<Reply> found;
  return !parse({}, found);
}

}  // namespace drover::simtest
