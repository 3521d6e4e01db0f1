#include "app/demo_client.h"

#include <fmt/format.h>

#include <array>
#include <set>
#include <utility>

namespace drover::app {
namespace {

constexpr std::string_view kWarm = "llama3.2:latest";
constexpr std::string_view kCold = "qwen3:4b";
constexpr std::string_view kPrompt = "Why are two GPUs faster than one?";
constexpr Duration kPatience = std::chrono::seconds(20);
constexpr unsigned kTokens = 40;

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
    const std::vector<Generated> asked =
        co_await ask_many({3, kWarm, 1}, silent, Duration::max(), 0);
    std::set<std::string> served;
    for (const Generated& one : asked) {
      if (one.complete) served.insert(one.instance);
    }
    if (served.size() == 3) co_return true;
    co_await loop_.sleep_for(std::chrono::milliseconds(100));
  }
  co_return false;
}

net::Task<void> DemoClient::one_stream(const Story& story) {
  story.say("1. One stream, token by token:\n   ");
  const Generated asked = co_await ask({1, kWarm, kTokens}, Show::kText, story);
  story.say(fmt::format("\n   {} tokens from {}.\n   why there: {}\n\n", asked.pieces,
                        asked.instance, asked.why));
  as_promised_ = as_promised_ && asked.complete;
}

net::Task<void> DemoClient::hidden_failure(const Story& story) {
  story.say(
      "2. Six requests for a model that is not loaded yet; while all three instances load "
      "it,\n   sim1 is killed (kill -9):\n");
  const std::vector<Generated> asked =
      co_await ask_many({6, kCold, kTokens}, story, std::chrono::milliseconds(500), 1);
  int complete = 0;
  for (const Generated& one : asked) {
    complete += one.complete ? 1 : 0;
    story.say(fmt::format("   {} tokens from {}, first after {:.1f} s{}\n", one.pieces,
                          one.instance, to_seconds(one.first_token),
                          one.complete ? "" : "  INCOMPLETE: " + one.error));
  }
  story.say(fmt::format("   {} of 6 answers complete: nobody noticed.\n\n", complete));
  as_promised_ = as_promised_ && complete == 6;

  const Generated next = co_await ask({1, kCold, kTokens}, Show::kNothing, story);
  story.say(
      fmt::format("   The next request went to {}.\n   why: {}\n\n", next.instance, next.why));
  as_promised_ = as_promised_ && next.complete && next.instance != "sim1";
}

net::Task<void> DemoClient::visible_failure(const Story& story) {
  story.say(
      "3. What can not be hidden: sim0 is killed while its answer is on its way. The client\n"
      "   is told so, in its own dialect, and never mistakes it for the end:\n");
  const std::vector<Generated> asked =
      co_await ask_many({2, kWarm, kTokens}, story, std::chrono::milliseconds(700), 0);
  int broken = 0;
  for (const Generated& one : asked) {
    broken += one.error.empty() ? 0 : 1;
    story.say(
        fmt::format("   {} tokens from {}{}\n", one.pieces, one.instance,
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
    const std::vector<Generated> asked =
        co_await ask_many({3, kWarm, 1}, story, Duration::max(), 0);
    for (const Generated& one : asked) {
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

net::Task<std::vector<Generated>> DemoClient::ask_many(Load load, const Story& story,
                                                       Duration kill_after, int victim) {
  std::vector<Generated> asked(static_cast<std::size_t>(load.requests));
  std::size_t running = asked.size();
  for (Generated& one : asked) loop_.spawn(ask_into(load, story, one, running));
  if (kill_after != Duration::max()) {
    co_await loop_.sleep_for(kill_after);
    story.kill_instance(victim);
  }
  while (running > 0) co_await loop_.sleep_for(std::chrono::milliseconds(10));
  co_return asked;
}

net::Task<void> DemoClient::ask_into(Load load, const Story& story, Generated& asked,
                                     std::size_t& running) {
  asked = co_await ask(load, Show::kNothing, story);
  --running;
}

net::Task<Generated> DemoClient::ask(Load load, Show show, const Story& story) {
  OnPiece on_piece;
  if (show == Show::kText) {
    on_piece = [&story](const Generated&, std::string_view text) { story.say(std::string(text)); };
  }
  GenerateAsk ask{drover_, "localhost", std::string(load.model), std::string(kPrompt), load.tokens};
  co_return co_await generate(loop_, std::move(ask), loop_.now() + kPatience, nullptr,
                              std::move(on_piece));
}

}  // namespace drover::app
