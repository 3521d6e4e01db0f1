#include "app/demo_client.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <array>
#include <memory>
#include <set>

#include "net/stream.h"
#include "wire/http_body.h"
#include "wire/http_head.h"

namespace drover::app {
namespace {

constexpr std::string_view kWarm = "llama3.2:latest";
constexpr std::string_view kCold = "qwen3:4b";
constexpr Duration kPatience = std::chrono::seconds(20);
constexpr int kTokens = 40;

// One NDJSON record: its text, and whether it ends the answer.
struct Record {
  std::string text;
  std::string error;
  bool done = false;
};

Record read_record(std::string_view line) {
  Record record;
  simdjson::dom::parser parser;
  simdjson::dom::element element;
  const simdjson::padded_string padded(line);
  if (parser.parse(padded).get(element) != simdjson::SUCCESS) return record;
  std::string_view text;
  if (element["response"].get(text) == simdjson::SUCCESS) record.text = text;
  if (element["error"].get(text) == simdjson::SUCCESS) record.error = text;
  bool done = false;
  if (element["done"].get(done) == simdjson::SUCCESS) record.done = done;
  return record;
}

std::string request_text(std::string_view model, int tokens) {
  const std::string body = fmt::format(
      "{{\"model\":\"{}\",\"prompt\":\"Why are two GPUs faster than one?\","
      "\"options\":{{\"num_predict\":{}}}}}",
      model, tokens);
  return fmt::format(
      "POST /api/generate HTTP/1.1\r\nHost: localhost\r\nX-Drover-Explain: 1\r\n"
      "Connection: close\r\nContent-Length: {}\r\n\r\n{}",
      body.size(), body);
}

}  // namespace

DemoClient::DemoClient(net::Loop& loop, net::Endpoint drover) : loop_(loop), drover_(drover) {}

bool DemoClient::run(const Story& story) {
  loop_.spawn(tell(story));
  loop_.run();
  return as_promised_;
}

net::Task<void> DemoClient::tell(const Story& story) {
  const bool ready = co_await wait_ready();
  if (ready) {
    co_await one_stream(story);
    co_await hidden_failure(story);
    co_await visible_failure(story);
    co_await comes_back(story);
  } else {
    story.say("drover did not become ready in time\n");
    as_promised_ = false;
  }
  loop_.stop();
}

net::Task<bool> DemoClient::wait_ready() {
  const Instant deadline = loop_.now() + kPatience;
  const Story silent{[](const std::string&) {}, {}, {}};
  while (loop_.now() < deadline) {
    const std::vector<Asked> asked = co_await ask_many({3, kWarm, 1}, silent, Duration::max(), 0);
    std::set<std::string> served;
    for (const Asked& one : asked) {
      if (one.complete) served.insert(one.instance);
    }
    if (served.size() == 3) co_return true;
    co_await loop_.sleep_for(std::chrono::milliseconds(100));
  }
  co_return false;
}

net::Task<void> DemoClient::one_stream(const Story& story) {
  story.say("1. One stream, token by token:\n   ");
  const Asked asked = co_await ask({1, kWarm, kTokens}, Show::kText, story);
  story.say(fmt::format("\n   {} tokens from {}.\n   why there: {}\n\n", asked.tokens,
                        asked.instance, asked.why));
  as_promised_ = as_promised_ && asked.complete;
}

net::Task<void> DemoClient::hidden_failure(const Story& story) {
  story.say(
      "2. Six requests for a model that is not loaded yet; while all three instances load "
      "it,\n   sim1 is killed (kill -9):\n");
  const std::vector<Asked> asked =
      co_await ask_many({6, kCold, kTokens}, story, std::chrono::milliseconds(500), 1);
  int complete = 0;
  for (const Asked& one : asked) {
    complete += one.complete ? 1 : 0;
    story.say(fmt::format("   {} tokens from {}, first after {:.1f} s{}\n", one.tokens,
                          one.instance, to_seconds(one.first_token),
                          one.complete ? "" : "  INCOMPLETE: " + one.error));
  }
  story.say(fmt::format("   {} of 6 answers complete: nobody noticed.\n\n", complete));
  as_promised_ = as_promised_ && complete == 6;

  const Asked next = co_await ask({1, kCold, kTokens}, Show::kNothing, story);
  story.say(
      fmt::format("   The next request went to {}.\n   why: {}\n\n", next.instance, next.why));
  as_promised_ = as_promised_ && next.complete && next.instance != "sim1";
}

net::Task<void> DemoClient::visible_failure(const Story& story) {
  story.say(
      "3. What can not be hidden: sim0 is killed while its answer is on its way. The client\n"
      "   is told so, in its own dialect, and never mistakes it for the end:\n");
  const std::vector<Asked> asked =
      co_await ask_many({2, kWarm, kTokens}, story, std::chrono::milliseconds(700), 0);
  int broken = 0;
  for (const Asked& one : asked) {
    broken += one.error.empty() ? 0 : 1;
    story.say(
        fmt::format("   {} tokens from {}{}\n", one.tokens, one.instance,
                    one.error.empty() ? ", complete" : ", then {\"error\":\"" + one.error + "\"}"));
  }
  story.say("\n");
  as_promised_ = as_promised_ && broken == 1;
}

net::Task<void> DemoClient::comes_back(const Story& story) {
  story.say("4. Both instances are started again, with nothing loaded:\n");
  story.start_instance(0);
  story.start_instance(1);
  const Instant start = loop_.now();
  std::array<bool, 3> seen{};
  while (loop_.now() - start < kPatience && !(seen[0] && seen[1])) {
    const std::vector<Asked> asked = co_await ask_many({3, kWarm, 1}, story, Duration::max(), 0);
    for (const Asked& one : asked) {
      for (std::size_t i = 0; i < seen.size(); ++i) {
        seen[i] = seen[i] || (one.complete && one.instance == fmt::format("sim{}", i));
      }
    }
  }
  const bool back = seen[0] && seen[1];
  story.say(back ? fmt::format("   all three have served again after {:.1f} s.\n",
                               to_seconds(loop_.now() - start))
                 : "   they did not come back in time.\n");
  as_promised_ = as_promised_ && back;
}

net::Task<std::vector<DemoClient::Asked>> DemoClient::ask_many(Load load, const Story& story,
                                                               Duration kill_after, int victim) {
  std::vector<Asked> asked(static_cast<std::size_t>(load.requests));
  std::size_t running = asked.size();
  for (Asked& one : asked) loop_.spawn(ask_into(load, story, one, running));
  if (kill_after != Duration::max()) {
    co_await loop_.sleep_for(kill_after);
    story.kill_instance(victim);
  }
  while (running > 0) co_await loop_.sleep_for(std::chrono::milliseconds(10));
  co_return asked;
}

net::Task<void> DemoClient::ask_into(Load load, const Story& story, Asked& asked,
                                     std::size_t& running) {
  asked = co_await ask(load, Show::kNothing, story);
  --running;
}

net::Task<DemoClient::Asked> DemoClient::ask(Load load, Show show, const Story& story) {
  Asked asked;
  const Instant start = loop_.now();
  const Instant deadline = start + kPatience;
  Result<std::unique_ptr<net::Stream>> dialled = co_await loop_.connect(drover_, deadline, nullptr);
  if (!dialled) {
    asked.error = dialled.error().message;
    co_return asked;
  }
  net::Stream& stream = **dialled;
  const std::string request = request_text(load.model, load.tokens);
  const std::array<std::string_view, 1> parts = {request};
  Result<void> sent = co_await net::write_all(stream, parts, kPatience, nullptr);
  if (!sent) co_return asked;

  std::string input;
  std::string lines;
  wire::ResponseHead head;
  std::unique_ptr<wire::BodyDecoder> decoder;
  for (;;) {
    const net::WaitResult ready = co_await stream.readable(deadline);
    if (ready != net::WaitResult::kReady) co_return asked;
    const net::Io io = stream.read(loop_.scratch());
    if (io.state == net::Io::State::kWouldBlock) continue;
    if (io.state != net::Io::State::kMoved) co_return asked;
    input.append(loop_.scratch().data(), io.bytes);
    if (!decoder) {
      wire::ResponseParser parser;
      Result<std::optional<std::size_t>> parsed = parser.parse(input, wire::Method::kPost, head);
      if (!parsed || !parsed->has_value()) continue;
      asked.status = head.status;
      asked.instance = head.find("x-drover-backend").value_or("");
      asked.why = head.find("x-drover-why").value_or("");
      decoder =
          std::make_unique<wire::BodyDecoder>(head.framing, head.content_length, Origin::kInstance);
      input.erase(0, **parsed);
    }
    while (!input.empty() && !decoder->done()) {
      Result<wire::BodyDecoder::Step> step = decoder->next(input);
      if (!step) co_return asked;
      lines.append(step->data);
      input.erase(0, step->consumed);
    }
    for (std::size_t end = lines.find('\n'); end != std::string::npos; end = lines.find('\n')) {
      const Record record = read_record(std::string_view(lines).substr(0, end));
      lines.erase(0, end + 1);
      if (!record.error.empty()) asked.error = record.error;
      if (record.done) asked.complete = true;
      if (record.text.empty()) continue;
      if (asked.tokens++ == 0) asked.first_token = loop_.now() - start;
      if (show == Show::kText) story.say(record.text);
    }
    if (!lines.empty() && decoder->done()) asked.error = read_record(lines).error;
    if (decoder->done()) co_return asked;
  }
}

}  // namespace drover::app
