// What one turn of the wheel costs: a byte there and back over loopback, a deadline re-armed per
// token, a coroutine woken by another.

#include <benchmark/benchmark.h>

#include <array>
#include <chrono>
#include <optional>

#include "net/epoll_loop.h"

namespace drover::net {
namespace {

using StreamPtr = std::unique_ptr<Stream>;
constexpr Duration kPatience = std::chrono::seconds(20);

Task<void> accept_into(Listener& listener, std::optional<Result<StreamPtr>>& out) {
  Result<StreamPtr> accepted = co_await listener.accept(nullptr);
  out.emplace(std::move(accepted));
}

Task<void> connect_into(Loop& loop, Endpoint to, std::optional<Result<StreamPtr>>& out) {
  Result<StreamPtr> connected = co_await loop.connect(to, kNever, nullptr);
  out.emplace(std::move(connected));
}

Task<void> echo(Stream& stream) {
  for (;;) {
    const Instant deadline = stream.loop().now() + kPatience;
    const WaitResult waited = co_await stream.readable(deadline);
    if (waited != WaitResult::kReady) co_return;
    const Arrived got = stream.receive();
    if (got.state == Io::State::kWouldBlock) continue;
    if (got.state != Io::State::kMoved) co_return;
    const std::array<std::string_view, 1> parts = {got.bytes};
    co_await write_all(stream, parts, kPatience, nullptr);
  }
}

Task<void> ask(Stream& stream, int times) {
  const std::array<std::string_view, 1> parts = {"a token of about this many bytes"};
  for (int i = 0; i < times; ++i) {
    co_await write_all(stream, parts, kPatience, nullptr);
    std::size_t got = 0;
    while (got < parts[0].size()) {
      const Instant deadline = stream.loop().now() + kPatience;
      const WaitResult waited = co_await stream.readable(deadline);
      if (waited != WaitResult::kReady) co_return;
      got += stream.receive().bytes.size();
    }
  }
  stream.loop().stop();
}

void BM_PingPong(benchmark::State& state) {
  EpollLoop loop;
  auto listener = std::move(loop.listen(*Endpoint::parse("127.0.0.1:0"), {})).value();
  std::optional<Result<StreamPtr>> server, client;
  loop.spawn(accept_into(*listener, server));
  loop.spawn(connect_into(loop, listener->local(), client));
  while (!server || !client) loop.turn(kNever);
  loop.spawn(echo(*server->value()));
  constexpr int kRounds = 1000;
  for ([[maybe_unused]] auto _ : state) {
    loop.spawn(ask(*client->value(), kRounds));
    loop.run();
  }
  state.SetItemsProcessed(state.iterations() * kRounds);
  loop.abandon();
}
BENCHMARK(BM_PingPong)->Unit(benchmark::kMillisecond);

// state.range(0) deadlines stand in the heap, each moved to later again and again.
void BM_RearmDeadline(benchmark::State& state) {
  EpollLoop loop;
  std::vector<std::unique_ptr<Timer>> timers;
  for (int i = 0; i < state.range(0); ++i) timers.push_back(std::make_unique<Timer>(loop));
  Instant deadline = loop.now() + std::chrono::hours(1);
  for ([[maybe_unused]] auto _ : state) {
    deadline += Duration(1);
    for (const std::unique_ptr<Timer>& timer : timers) timer->arm(deadline);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_RearmDeadline)->Arg(2000);

Task<void> hop(Event& mine, Event& other) {
  for (;;) {
    co_await mine.wait(kNever);
    mine.clear();
    other.set();
  }
}

void BM_WakeAnotherCoroutine(benchmark::State& state) {
  EpollLoop loop;
  Event ping(loop);
  Event pong(loop);
  loop.spawn(hop(ping, pong));
  loop.spawn(hop(pong, ping));
  ping.set();
  for ([[maybe_unused]] auto _ : state) loop.turn(loop.now());
  loop.abandon();
}
BENCHMARK(BM_WakeAnotherCoroutine);

}  // namespace
}  // namespace drover::net
