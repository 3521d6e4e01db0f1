#include "app/generate_client.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <array>
#include <memory>
#include <optional>
#include <utility>

#include "app/escape.h"
#include "net/stream.h"
#include "wire/http_body.h"
#include "wire/http_head.h"

namespace drover::app {
namespace {

// Nobody here sends questions that a healthy socket would not take at once.
constexpr Duration kSendPatience = std::chrono::seconds(20);

std::string request_text(const GenerateAsk& ask) {
  const std::string body =
      fmt::format("{{\"model\":{},\"prompt\":{},\"options\":{{\"num_predict\":{}}}}}",
                  json_quoted(ask.model), json_quoted(ask.prompt), ask.tokens);
  return fmt::format(
      "POST /api/generate HTTP/1.1\r\nHost: {}\r\nX-Drover-Explain: 1\r\n"
      "Connection: close\r\nContent-Length: {}\r\n\r\n{}",
      ask.host, body.size(), body);
}

// What came so far, from bytes to counts.
class Answer {
 public:
  Answer(Generated& into, const OnPiece& on_piece) : into_(into), on_piece_(on_piece) {}

  // False: nothing more is to come, or it makes no sense (then there is an error).
  bool feed(std::string_view bytes, Duration since_asked) {
    input_.append(bytes);
    if (!decoder_ && !take_head()) return into_.error.empty();
    if (!decode()) return false;
    for (std::size_t end = lines_.find('\n'); end != std::string::npos; end = lines_.find('\n')) {
      take_record(std::string_view(lines_).substr(0, end), since_asked);
      lines_.erase(0, end + 1);
    }
    if (!decoder_->done()) return true;
    if (!lines_.empty()) take_record(lines_, since_asked);  // an error body ends without a newline
    return false;
  }

 private:
  bool fail(std::string_view why) {
    into_.error = why;
    return false;
  }

  bool take_head() {
    wire::ResponseParser parser;
    wire::ResponseHead head;
    const auto parsed = parser.parse(input_, wire::Method::kPost, head);
    if (!parsed) return fail("the answer is not HTTP");
    if (!*parsed) return false;
    into_.status = head.status;
    into_.instance = head.find("x-drover-backend").value_or("");
    into_.why = head.find("x-drover-why").value_or("");
    decoder_.emplace(head.framing, head.content_length, Origin::kInstance);
    input_.erase(0, **parsed);
    return true;
  }

  bool decode() {
    std::string_view rest = input_;
    while (!rest.empty() && !decoder_->done()) {
      const auto step = decoder_->next(rest);
      if (!step) return fail(step.error().message);
      lines_.append(step->data);
      rest.remove_prefix(step->consumed);
    }
    input_.erase(0, input_.size() - rest.size());
    return true;
  }

  void take_record(std::string_view line, Duration since_asked) {
    simdjson::dom::element record;
    if (parser_.parse(line.data(), line.size()).get(record) != simdjson::SUCCESS) return;
    std::string_view text;
    if (record["error"].get(text) == simdjson::SUCCESS) into_.error = text;
    bool done = false;
    if (record["done"].get(done) == simdjson::SUCCESS && done) {
      into_.complete = true;
      if (record["eval_count"].get(into_.tokens) != simdjson::SUCCESS) into_.tokens = 0;
    }
    for (const char* key : {"response", "thinking"}) {
      if (record[key].get(text) == simdjson::SUCCESS && !text.empty()) {
        return take_piece(text, since_asked);
      }
    }
  }

  void take_piece(std::string_view text, Duration since_asked) {
    if (into_.pieces++ == 0) into_.first_token = since_asked;
    if (on_piece_) on_piece_(into_, text);
  }

  Generated& into_;
  const OnPiece& on_piece_;
  std::string input_;                         // framing not taken off yet
  std::string lines_;                         // the record that is not whole yet
  std::optional<wire::BodyDecoder> decoder_;  // once the head was read
  simdjson::dom::parser parser_;
};

}  // namespace

net::Task<Generated> generate(net::Loop& loop, GenerateAsk ask, Instant deadline,
                              net::Cancel* cancel, OnPiece on_piece) {
  Generated got;
  const Instant asked = loop.now();
  Result<std::unique_ptr<net::Stream>> dialled = co_await loop.connect(ask.to, deadline, cancel);
  if (!dialled) {
    got.error = dialled.error().message;
    co_return got;
  }
  net::Stream& stream = **dialled;
  const std::string request = request_text(ask);
  const std::array<std::string_view, 1> parts = {request};
  Result<void> sent = co_await net::write_all(stream, parts, kSendPatience, cancel);
  if (!sent) {
    got.error = sent.error().message;
    co_return got;
  }
  Answer answer(got, on_piece);
  for (;;) {
    const net::WaitResult ready = co_await stream.readable(deadline, cancel);
    if (ready != net::WaitResult::kReady) {
      got.error = ready == net::WaitResult::kTimedOut ? "no whole answer in time" : "called off";
      break;
    }
    const net::Arrived arrived = stream.receive();
    if (arrived.state == net::Io::State::kWouldBlock) continue;
    if (arrived.state != net::Io::State::kMoved) {
      if (!got.complete) got.error = "the connection was closed within the answer";
      break;
    }
    if (!answer.feed(arrived.bytes, loop.now() - asked)) break;
  }
  if (!got.complete && got.error.empty()) {
    got.error = fmt::format("the answer ended without its final record (status {})", got.status);
  }
  co_return got;
}

}  // namespace drover::app
