#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <optional>
#include <string>

#include "simnet/table_resolver.h"
#include "simnet/virtual_loop.h"

namespace drover::simnet {
namespace {

using namespace std::chrono_literals;
using net::Cancel;
using net::Endpoint;
using net::Io;
using net::Listener;
using net::Stream;
using net::Task;
using net::WaitResult;
using StreamPtr = std::unique_ptr<Stream>;

const Endpoint kServer = *Endpoint::parse("10.0.0.1:11434");

Task<void> note_sleep(net::Loop& loop, Instant until, std::optional<WaitResult>& out) {
  const WaitResult waited = co_await loop.sleep_until(until);
  out = waited;
}

Task<void> accept_into(Listener& listener, std::optional<Result<StreamPtr>>& out) {
  Result<StreamPtr> accepted = co_await listener.accept(nullptr);
  out.emplace(std::move(accepted));
}

Task<void> connect_into(net::Loop& loop, Endpoint to, Instant deadline, Cancel* cancel,
                        std::optional<Result<StreamPtr>>& out) {
  Result<StreamPtr> connected = co_await loop.connect(to, deadline, cancel);
  out.emplace(std::move(connected));
}

// Reads to the end; `last` says how it ended (kWouldBlock: nothing came for `patience`).
Task<void> read_all(Stream& stream, Duration patience, std::string& into, Io::State& last) {
  for (;;) {
    const WaitResult waited = co_await stream.readable(stream.loop().now() + patience);
    last = Io::State::kWouldBlock;
    if (waited != WaitResult::kReady) co_return;
    const net::Arrived got = stream.receive();
    last = got.state;
    into.append(got.bytes);
    if (got.state == Io::State::kEnd || got.state == Io::State::kFailed) co_return;
  }
}

Task<void> send_all(Stream& stream, std::string text, std::optional<Result<void>>& out) {
  const std::array<std::string_view, 1> parts = {text};
  Result<void> written = co_await net::write_all(stream, parts, 10s, nullptr);
  out.emplace(std::move(written));
}

struct Pair {
  explicit Pair(VirtualLoop& loop, Endpoint at = kServer) {
    listener = std::move(loop.listen(at, {})).value();
    std::optional<Result<StreamPtr>> accepted, connected;
    loop.spawn(accept_into(*listener, accepted));
    loop.spawn(connect_into(loop, at, kNever, nullptr, connected));
    loop.run();
    client = std::move(*connected).value();
    server = std::move(*accepted).value();
  }
  std::unique_ptr<Listener> listener;
  StreamPtr client;
  StreamPtr server;
};

std::string some_text(std::size_t bytes) {
  std::string text(bytes, 'x');
  for (std::size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>('a' + i * 7 % 26);
  return text;
}

TEST(VirtualLoop, JumpsToTheNextTimerAndEndsWhenNothingCanHappen) {
  VirtualLoop loop;
  const Instant start = loop.now();
  std::optional<WaitResult> out;
  loop.spawn(note_sleep(loop, start + 5h, out));
  loop.run();
  EXPECT_EQ(out, WaitResult::kTimedOut);
  EXPECT_EQ(loop.now(), start + 5h);
}

TEST(VirtualLoop, ReturnsWhileSomebodyWaitsForWhatNobodyDoes) {
  VirtualLoop loop;
  std::optional<WaitResult> out;
  loop.spawn(note_sleep(loop, kNever, out));
  loop.run();
  EXPECT_FALSE(out);
  EXPECT_EQ(loop.live_tasks(), 1u);
}

TEST(VirtualLoop, RunUntilStopsTheClockExactlyThere) {
  VirtualLoop loop;
  const Instant start = loop.now();
  const WallTime wall = loop.wall_now();
  std::optional<WaitResult> early, late;
  loop.spawn(note_sleep(loop, start + 1s, early));
  loop.spawn(note_sleep(loop, start + 1s + 1ns, late));
  loop.run_for(1s);
  EXPECT_TRUE(early);
  EXPECT_FALSE(late);
  EXPECT_EQ(loop.now(), start + 1s);
  EXPECT_EQ(loop.wall_now().unix_nanos - wall.unix_nanos, 1'000'000'000);
}

TEST(VirtualLoop, RunsPostedWorkAndStops) {
  VirtualLoop loop;
  int ran = 0;
  loop.post([&] {
    ++ran;
    loop.stop();
  });
  std::optional<WaitResult> never;
  loop.spawn(note_sleep(loop, loop.now() + 1h, never));
  loop.run();
  EXPECT_EQ(ran, 1);
  EXPECT_FALSE(never);
}

TEST(Network, CarriesBytesAndTheEndAfterTheLatency) {
  VirtualLoop loop({.latency = 10ms});
  Pair pair(loop);
  const Instant sent_at = loop.now();
  std::string got;
  Io::State last{};
  std::optional<Result<void>> sent;
  loop.spawn(send_all(*pair.client, "hello", sent));
  loop.spawn(read_all(*pair.server, 1h, got, last));
  loop.run_for(9ms);
  EXPECT_EQ(got, "");
  loop.run_for(1ms);
  EXPECT_EQ(got, "hello");
  pair.client.reset();
  loop.run();
  EXPECT_EQ(last, Io::State::kEnd);
  EXPECT_EQ(loop.now(), sent_at + 20ms);
}

TEST(Network, SplitsWritesWithoutLosingOrder) {
  const std::string text = some_text(20'000);
  for (const Split split : {Split::kWhole, Split::kRandom, Split::kBytes}) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      VirtualLoop loop({.seed = seed, .jitter = 20us, .split = split, .buffer_bytes = 3000});
      Pair pair(loop);
      std::string got;
      Io::State last{};
      std::optional<Result<void>> sent;
      loop.spawn(send_all(*pair.server, text, sent));
      loop.spawn(read_all(*pair.client, 1s, got, last));
      loop.run();
      ASSERT_TRUE(sent && sent->ok()) << seed;
      EXPECT_EQ(got, text) << seed;
    }
  }
}

TEST(Network, SameSeedSameRun) {
  const auto run = [](std::uint64_t seed) {
    VirtualLoop loop({.seed = seed, .jitter = 1ms, .split = Split::kRandom});
    Pair pair(loop);
    std::string got;
    Io::State last{};
    std::optional<Result<void>> sent;
    const std::string text = some_text(100'000);
    loop.spawn(send_all(*pair.server, text, sent));
    loop.spawn(read_all(*pair.client, 1s, got, last));
    loop.run();
    return loop.now();
  };
  EXPECT_EQ(run(3), run(3));
  EXPECT_NE(run(3), run(4));
}

TEST(Network, AFullBufferPushesBackUntilThePeerReads) {
  VirtualLoop loop({.buffer_bytes = 1000});
  Pair pair(loop);
  const std::string text = some_text(2500);
  std::optional<Result<void>> sent;
  loop.spawn(send_all(*pair.server, text, sent));
  loop.run_for(1s);
  EXPECT_FALSE(sent);
  const std::array<std::string_view, 1> more = {"x"};
  EXPECT_EQ(pair.server->write(more).state, Io::State::kWouldBlock);
  std::string got;
  Io::State last{};
  loop.spawn(read_all(*pair.client, 1s, got, last));
  loop.run();
  EXPECT_TRUE(sent && sent->ok());
  EXPECT_EQ(got, text);
}

TEST(Network, RefusesWhereNobodyListens) {
  VirtualLoop loop;
  std::optional<Result<StreamPtr>> out;
  loop.spawn(connect_into(loop, kServer, kNever, nullptr, out));
  loop.run();
  ASSERT_FALSE(out->ok());
  EXPECT_EQ(out->error().kind, ErrorKind::kRefused);
  EXPECT_EQ(out->error().message, "connect to 10.0.0.1:11434: refused");
}

TEST(Network, UnpluggedServersLetAConnectTimeOutOrBeCancelled) {
  VirtualLoop loop;
  auto listener = std::move(loop.listen(kServer, {})).value();
  loop.network().unplug(kServer);
  const Instant start = loop.now();
  std::optional<Result<StreamPtr>> timed, cancelled;
  Cancel cancel;
  loop.spawn(connect_into(loop, kServer, start + 3s, nullptr, timed));
  loop.spawn(connect_into(loop, kServer, kNever, &cancel, cancelled));
  loop.run();
  EXPECT_EQ(loop.now(), start + 3s);
  EXPECT_EQ(timed->error().kind, ErrorKind::kTimeout);
  EXPECT_FALSE(cancelled);
  cancel.trigger(net::CancelReason::kClientGone);
  loop.run();
  EXPECT_EQ(cancelled->error().kind, ErrorKind::kCancelled);
}

TEST(Network, PortZeroChoosesAndAWildcardListenerIsFound) {
  VirtualLoop loop;
  auto a = std::move(loop.listen(*Endpoint::parse("127.0.0.1:0"), {})).value();
  auto b = std::move(loop.listen(*Endpoint::parse("127.0.0.1:0"), {})).value();
  EXPECT_NE(a->local(), b->local());
  auto any = std::move(loop.listen(*Endpoint::parse("0.0.0.0:80"), {})).value();
  std::optional<Result<StreamPtr>> out;
  loop.spawn(connect_into(loop, *Endpoint::parse("10.1.2.3:80"), kNever, nullptr, out));
  loop.run();
  EXPECT_TRUE(out->ok());
  EXPECT_FALSE(loop.listen(any->local(), {}).ok()) << "taken";
}

TEST(Network, CutEndsTheAnswerAfterExactlySoManyBytes) {
  VirtualLoop loop({.split = Split::kRandom});
  loop.network().fault_next(kServer, {Fault::Kind::kCut, Towards::kClient, 777});
  Pair pair(loop);
  const std::string text = some_text(5000);
  std::string got;
  Io::State last{};
  std::optional<Result<void>> sent;
  loop.spawn(send_all(*pair.server, text, sent));
  loop.spawn(read_all(*pair.client, 1s, got, last));
  loop.run();
  EXPECT_EQ(got, text.substr(0, 777));
  EXPECT_EQ(last, Io::State::kEnd);
  EXPECT_TRUE(sent && sent->ok()) << "the rest vanishes";
}

TEST(Network, ResetAfterBytesFailsBothEnds) {
  VirtualLoop loop;
  loop.network().fault_next(kServer, {Fault::Kind::kReset, Towards::kClient, 10});
  Pair pair(loop);
  Cancel gone;
  pair.server->watch_hangup(&gone);
  std::string got;
  Io::State last{};
  std::optional<Result<void>> sent;
  const std::string text = some_text(100);
  loop.spawn(send_all(*pair.server, text, sent));
  loop.spawn(read_all(*pair.client, 1s, got, last));
  loop.run();
  EXPECT_EQ(got, text.substr(0, 10));
  EXPECT_EQ(last, Io::State::kFailed);
  EXPECT_TRUE(gone.triggered());
  const std::array<std::string_view, 1> parts = {"x"};
  EXPECT_EQ(pair.server->write(parts).state, Io::State::kFailed);
  EXPECT_EQ(pair.client->write(parts).state, Io::State::kFailed);
}

TEST(Network, AStallHoldsBytesBackUntilReleased) {
  VirtualLoop loop;
  Pair pair(loop);
  loop.network().fault_present(kServer, {Fault::Kind::kStall, Towards::kClient, 3});
  std::string got;
  Io::State last{};
  std::optional<Result<void>> sent;
  loop.spawn(send_all(*pair.server, "abcdef", sent));
  loop.spawn(read_all(*pair.client, 1h, got, last));
  loop.run_for(1min);
  EXPECT_EQ(got, "abc");
  loop.network().release(kServer);
  loop.run_for(1s);
  EXPECT_EQ(got, "abcdef");
}

TEST(Network, KillResetsConnectionsAndRefusesNewOnes) {
  VirtualLoop loop;
  Pair pair(loop);
  std::optional<Result<StreamPtr>> waiting, refused;
  loop.spawn(accept_into(*pair.listener, waiting));
  loop.run();
  EXPECT_EQ(loop.network().connections(kServer), 1u);
  loop.network().kill(kServer);
  loop.spawn(connect_into(loop, kServer, kNever, nullptr, refused));
  loop.run();
  EXPECT_EQ(waiting->error().kind, ErrorKind::kSystem);
  EXPECT_EQ(refused->error().kind, ErrorKind::kRefused);
  std::array<char, 4> buffer{};
  EXPECT_EQ(pair.client->read(buffer).state, Io::State::kFailed);
  auto again = loop.listen(kServer, {});
  EXPECT_TRUE(again.ok()) << "a restarted server may listen again";
}

TEST(Network, AFrozenServerConnectsButStaysSilentUntilThawed) {
  VirtualLoop loop;
  Pair pair(loop);
  loop.network().freeze(kServer);
  std::optional<Result<StreamPtr>> accepted, connected;
  std::optional<Result<void>> sent;
  std::string got;
  Io::State last{};
  loop.spawn(accept_into(*pair.listener, accepted));
  loop.spawn(connect_into(loop, kServer, kNever, nullptr, connected));
  loop.spawn(send_all(*pair.server, "late", sent));
  loop.spawn(read_all(*pair.client, 1h, got, last));
  loop.run_for(1min);
  EXPECT_TRUE(connected && connected->ok());
  EXPECT_FALSE(accepted);
  EXPECT_EQ(got, "");
  loop.network().thaw(kServer);
  loop.run_for(1s);
  EXPECT_TRUE(accepted);
  EXPECT_EQ(got, "late");
}

TEST(Network, WritingToAClosedPeerIsAnsweredByAReset) {
  VirtualLoop loop;
  Pair pair(loop);
  pair.server.reset();
  loop.run();
  EXPECT_TRUE(pair.client->hung_up());
  const std::array<std::string_view, 1> parts = {"anybody there?"};
  EXPECT_EQ(pair.client->write(parts).state, Io::State::kMoved);
  loop.run();
  EXPECT_EQ(pair.client->write(parts).state, Io::State::kFailed);
}

TEST(Network, ResetOnCloseIsSeenAfterWhatWasSentBefore) {
  VirtualLoop loop;
  Pair pair(loop);
  const std::array<std::string_view, 1> parts = {"partial"};
  ASSERT_EQ(pair.server->write(parts).bytes, 7u);
  pair.server->reset_on_close();
  pair.server.reset();
  std::string got;
  Io::State last{};
  loop.spawn(read_all(*pair.client, 1s, got, last));
  loop.run();
  EXPECT_EQ(got, "partial");
  EXPECT_EQ(last, Io::State::kFailed);
}

TEST(Network, AFullBacklogAnswersNoHandshake) {
  VirtualLoop loop;
  auto listener = std::move(loop.listen(kServer, {.backlog = 1})).value();
  std::optional<Result<StreamPtr>> first, second;
  loop.spawn(connect_into(loop, kServer, loop.now() + 1s, nullptr, first));
  loop.run();
  loop.spawn(connect_into(loop, kServer, loop.now() + 1s, nullptr, second));
  loop.run();
  EXPECT_TRUE(first->ok());
  EXPECT_EQ(second->error().kind, ErrorKind::kTimeout);
}

Task<void> resolve_into(net::Resolver& resolver, net::HostPort name, Instant deadline,
                        std::optional<Result<std::vector<Endpoint>>>& out) {
  Result<std::vector<Endpoint>> resolved =
      co_await resolver.resolve(std::move(name), deadline, nullptr);
  out.emplace(std::move(resolved));
}

TEST(TableResolver, AnswersFromItsTableWithTheDelayItWasGiven) {
  VirtualLoop loop;
  TableResolver resolver(loop);
  resolver.set("gpu-1", {"10.0.0.1", "fd00::1"});
  resolver.set_delay(1s);
  std::optional<Result<std::vector<Endpoint>>> known, unknown, literal, late;
  loop.spawn(resolve_into(resolver, {"gpu-1", 80}, kNever, known));
  loop.spawn(resolve_into(resolver, {"gpu-2", 80}, kNever, unknown));
  loop.spawn(resolve_into(resolver, {"::1", 80}, kNever, literal));
  loop.spawn(resolve_into(resolver, {"gpu-1", 80}, loop.now() + 500ms, late));
  loop.run();
  EXPECT_EQ(known->value(),
            (std::vector{*Endpoint::parse("10.0.0.1:80"), *Endpoint::parse("[fd00::1]:80")}));
  EXPECT_EQ(unknown->error().kind, ErrorKind::kResolve);
  EXPECT_EQ(literal->value().front().to_string(), "[::1]:80");
  EXPECT_EQ(late->error().kind, ErrorKind::kTimeout);
  EXPECT_EQ(resolver.lookups(), 3);
}

}  // namespace
}  // namespace drover::simnet
