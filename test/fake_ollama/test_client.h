#pragma once
// What the tests of the double share: an instance in a virtual network and clients that note every
// byte and how it ended.

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "fake_ollama/fake_ollama.h"
#include "net/stream.h"
#include "simnet/virtual_loop.h"
#include "wire/http_body.h"
#include "wire/http_head.h"

namespace drover::fake {

using namespace std::chrono_literals;

// One request on a connection of its own, and what came back.
struct Reply {
  std::string raw;         // every byte
  std::string body;        // decoded
  int status = 0;          // 0: no head came
  std::string type;        // Content-Type
  bool complete = false;   // the framing says that it is whole
  bool malformed = false;  // not HTTP
  bool reset = false;
  bool ended = false;  // FIN
  Instant begun{};
  Instant first{};  // byte
  Instant last{};
  std::uint64_t pieces = 0;
  net::Cancel leave;  // trigger: the client goes away

  Duration took() const { return last - begun; }
};

// Reads `raw` anew each time: slow and simple.
inline void decode(Reply& reply) {
  wire::ResponseParser parser;
  wire::ResponseHead head;
  const auto parsed = parser.parse(reply.raw, wire::Method::kPost, head);
  reply.malformed = !parsed.ok();
  if (!parsed.ok() || !parsed->has_value()) return;
  reply.status = head.status;
  reply.type = head.find("content-type").value_or("");
  wire::BodyDecoder decoder(head.framing, head.content_length, Origin::kInstance);
  std::string_view rest = std::string_view(reply.raw).substr(head.bytes);
  reply.body.clear();
  while (!rest.empty() && !decoder.done()) {
    const auto step = decoder.next(rest);
    if (!step.ok()) {
      reply.malformed = true;
      return;
    }
    reply.body += step->data;
    rest.remove_prefix(step->consumed);
  }
  reply.complete =
      decoder.done() || (head.framing == wire::Framing::kLength && head.content_length == 0);
}

inline net::Task<void> ask(net::Loop& loop, net::Endpoint to, std::string request, Reply& reply) {
  reply.begun = loop.now();
  auto connected = co_await loop.connect(to, loop.now() + 10s, &reply.leave);
  if (!connected.ok()) co_return;
  net::Stream& stream = **connected;
  const std::string_view parts[] = {request};
  (void)co_await net::write_all(stream, parts, 10s, &reply.leave);
  for (;;) {
    const net::Io io = stream.read(loop.scratch());
    if (io.state == net::Io::State::kMoved) {
      if (reply.raw.empty()) reply.first = loop.now();
      reply.last = loop.now();
      ++reply.pieces;
      reply.raw.append(loop.scratch().data(), io.bytes);
      continue;
    }
    reply.reset = io.state == net::Io::State::kFailed;
    reply.ended = io.state == net::Io::State::kEnd;
    if (io.state != net::Io::State::kWouldBlock) break;
    decode(reply);
    const net::WaitResult ready = co_await stream.readable(kNever, &reply.leave);
    if (ready != net::WaitResult::kReady) break;
  }
  decode(reply);
}

class FakeOllamaTest : public ::testing::Test {
 protected:
  void start(FakeOptions options = {}) {
    fake = std::make_unique<FakeOllama>(loop, std::move(options));
    auto listener = loop.listen(at, {});
    ASSERT_TRUE(listener.ok());
    fake->serve(std::move(*listener));
  }
  void TearDown() override { loop.abandon(); }

  Reply& raw(std::string request) {
    Reply& reply = replies.emplace_back();
    loop.spawn(ask(loop, at, std::move(request), reply));
    return reply;
  }
  Reply& request(std::string_view method, std::string_view path, std::string_view body,
                 std::string_view fields = "Host: 127.0.0.1:11434\r\n") {
    std::string text =
        std::string(method) + " " + std::string(path) + " HTTP/1.1\r\n" + std::string(fields);
    text += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
    return raw(std::move(text));
  }
  Reply& post(std::string_view path, std::string_view body) { return request("POST", path, body); }
  Reply& get(std::string_view path) { return request("GET", path, ""); }
  // A chat that streams; the answer has `tokens` tokens.
  Reply& chat(std::string_view model = "llama3.2", int tokens = 4) {
    return post("/api/chat", R"({"model":")" + std::string(model) +
                                 R"(","messages":[{"role":"user","content":"hi"}],)" +
                                 R"("options":{"num_predict":)" + std::to_string(tokens) + "}}");
  }
  // Asked, and everything that follows from it.
  Reply& done(Reply& reply) {
    loop.run();
    return reply;
  }
  void leave(Reply& reply) { reply.leave.trigger(net::CancelReason::kClientGone); }

  std::deque<Reply> replies;  // ahead of the loop: its frames refer to them
  simnet::VirtualLoop loop;
  std::unique_ptr<FakeOllama> fake;
  net::Endpoint at = *net::Endpoint::parse("127.0.0.1:11434");
};

}  // namespace drover::fake
