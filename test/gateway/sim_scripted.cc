#include "gateway/sim_scripted.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace drover::simtest {
namespace {

std::string document(std::string_view body) {
  return fmt::format(
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
      body.size(), body);
}

}  // namespace

Scripted::Scripted(World& world, std::uint32_t instance, Script script,
                   std::optional<Script> checks)
    : world_(world),
      at_(world.at(instance)),
      script_(std::move(script)),
      checks_(std::move(checks)) {
  if (!checks_) {
    Client& asker = world.ask_instance(instance, World::request("GET", "/api/tags", {}));
    tags_ = document(world.done(asker).reply().body);
    asker.leave();
  }
  world.kill(instance);
  listener_ = world.loop().listen(at_, {}).value();
  world.loop().spawn(accept());
  world.pass(1ms);
}

void Scripted::stop() {
  if (!listener_) return;
  world_.network().kill(at_);
  world_.pass(1ms);
  listener_.reset();
}

net::Task<void> Scripted::accept() {
  for (;;) {
    Result<std::unique_ptr<net::Stream>> stream = co_await listener_->accept(nullptr);
    if (!stream.ok()) co_return;
    world_.loop().spawn(serve(std::move(*stream)));
  }
}

net::Task<bool> Scripted::read_until(net::Stream& stream, std::string& input, std::size_t size) {
  while (input.size() < size) {
    (void)co_await stream.readable(kNever);
    const net::Io io = stream.read(world_.loop().scratch());
    if (io.state == net::Io::State::kWouldBlock) continue;
    if (io.state != net::Io::State::kMoved) co_return false;
    input.append(world_.loop().scratch().data(), io.bytes);
  }
  co_return true;
}

net::Task<bool> Scripted::read_head(net::Stream& stream, std::string& input, Request& request) {
  std::size_t end = input.find("\r\n\r\n");
  while (end == std::string::npos) {
    const bool more = co_await read_until(stream, input, input.size() + 1);
    if (!more) co_return false;
    end = input.find("\r\n\r\n");
  }
  request.head = end + 4;
  const std::string_view head = std::string_view(input).substr(0, end + 2);
  const std::size_t path = head.find(' ') + 1;
  request.path = head.substr(path, head.find(' ', path) - path);
  constexpr std::string_view kLength = "\r\nContent-Length: ";
  const std::size_t length = head.find(kLength);
  if (length != std::string_view::npos) {
    request.length = std::stoul(std::string(head.substr(length + kLength.size())));
  }
  co_return true;
}

net::Task<bool> Scripted::answer(net::Stream& stream, std::string bytes) {
  const std::array<std::string_view, 1> parts = {bytes};
  const Result<void> sent = co_await net::write_all(stream, parts, 1h, nullptr);
  co_return sent.ok();
}

// False: the connection is over.
net::Task<bool> Scripted::play(net::Stream& stream, std::string& input, Request request) {
  Script script = script_;
  if (script.early) {
    const bool sent = co_await answer(stream, script.bytes);
    if (!sent) co_return false;
    script.bytes.clear();
    co_await world_.loop().sleep_for(10ms);
  }
  const bool whole = co_await read_until(stream, input, request.head + request.length);
  if (!whole) co_return false;
  received_.push_back(input.substr(0, request.head + request.length));
  input.erase(0, request.head + request.length);
  const bool goes_on = co_await say(stream, std::move(script));
  co_return goes_on;
}

// False: the connection is over.
net::Task<bool> Scripted::say(net::Stream& stream, Script script) {
  if (!script.bytes.empty()) {
    const bool sent = co_await answer(stream, script.bytes);
    if (!sent) co_return false;
  }
  if (!script.later.empty()) {
    co_await world_.loop().sleep_for(10ms);
    const bool sent = co_await answer(stream, script.later);
    if (!sent) co_return false;
  }
  if (script.then == Then::kEnd) stream.finish_writing();
  if (script.then == Then::kReset) stream.reset_on_close();
  co_return script.then == Then::kKeep;
}

net::Task<void> Scripted::serve(std::unique_ptr<net::Stream> stream) {
  std::string input;
  bool carried = false;
  for (bool goes_on = true; goes_on;) {
    Request request;
    goes_on = co_await read_head(*stream, input, request);
    if (!goes_on) break;
    Script known;
    if (request.path == "/api/tags") known = checks_.value_or(Script{tags_});
    if (request.path == "/api/ps") known = checks_.value_or(Script{document(R"({"models":[]})")});
    if (request.path == "/api/version") known.bytes = document(R"({"version":"0.32.15"})");
    if (!known.bytes.empty()) {
      input.erase(0, request.head);
      goes_on = co_await say(*stream, std::move(known));
      continue;
    }
    if (!carried) {
      ++connections_;
      ++open_;
    }
    carried = true;
    goes_on = co_await play(*stream, input, std::move(request));
  }
  if (carried) --open_;
}

}  // namespace drover::simtest
