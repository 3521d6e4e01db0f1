// The engine on one loop and across loops. Two hand-driven loops in one thread make every race a
// script: whoever turns first is first. The last tests let real loops run in threads.

#include "engine/engine.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>

#include "base/rng.h"
#include "core/testing.h"
#include "net/epoll_loop.h"
#include "net/loop_thread.h"
#include "net/testing.h"

namespace drover::engine {
namespace {

using core::AttemptResult;
using core::HealthState;
using core::Observed;
using net::testing::ManualLoop;
using namespace std::chrono_literals;

class RecordingLog final : public Log {
 public:
  void write(LogLevel level, std::string_view event, std::span<const LogField> fields) override {
    std::string line = level == LogLevel::kWarn ? "warn " : "info ";
    line += event;
    for (const LogField& field : fields) {
      line += " " + std::string(field.key) + "=" + std::string(std::get<0>(field.value));
    }
    lines.push_back(std::move(line));
  }
  std::vector<std::string> lines;
};

Observed has(std::uint32_t backend, std::initializer_list<std::string_view> models) {
  return {BackendId{backend},
          Observed::Kind::kCatalogue,
          core::testing::catalogue(models),
          nullptr,
          {},
          {}};
}
Observed refuses(std::uint32_t backend) {
  return {BackendId{backend}, Observed::Kind::kRefused, nullptr, nullptr, {}, "connection refused"};
}

core::RequestArrived request(Engine& engine, std::string_view model) {
  return {engine.next_request_id(), core::testing::ask_for(model)};
}

// One client: asks, notes what it got, keeps the lease until told.
struct Client {
  net::Cancel cancel;
  std::optional<Grant> got;
};

net::Task<void> acquire(Port& port, core::RequestArrived arrived, Client& client) {
  client.got = co_await port.acquire(std::move(arrived), client.cancel);
}

// --- one loop ---

class OneLoop : public ::testing::Test {
 protected:
  OneLoop() { observe(has(0, {"m"})), observe(has(1, {"m"})); }
  void observe(Observed observed) {
    engine.observe(std::move(observed));
    home.settle();
  }
  void ask(Client& client, std::string_view model = "m") {
    home.spawn(acquire(port, request(engine, model), client));
    home.settle();
  }
  std::shared_ptr<const core::FleetView> view() { return engine.view_now(); }
  std::uint32_t in_flight() {
    const auto now = view();
    return now->backends[0].in_flight + now->backends[1].in_flight;
  }

  ManualLoop home;
  RecordingLog log;
  Engine engine{home, {}, core::testing::specs(2), log};
  Port port{engine, home};
};

TEST_F(OneLoop, AGrantIsALeaseWithItsReason) {
  Client client;
  ask(client);
  ASSERT_TRUE(client.got && client.got->lease);
  EXPECT_EQ(client.got->lease.backend(), BackendId{0});
  EXPECT_EQ(client.got->why, "least_loaded chose gpu0; gpu0: 0 under way; gpu1: 0 under way");
  EXPECT_EQ(in_flight(), 1U);
  client.got->lease.first_byte(Lease::Tell::kNow);
  client.got->lease.first_byte(Lease::Tell::kNow);
  home.settle();
  EXPECT_EQ(view()->backends[0].awaiting_first, 0U);
  client.got->lease.settle(AttemptResult::kServed, {}, {});
  EXPECT_FALSE(client.got->lease);
  home.settle();
  EXPECT_EQ(in_flight(), 0U);
  EXPECT_EQ(view()->backends[0].served, 1U);
}

TEST_F(OneLoop, ALostLeaseGivesItsSlotBack) {
  Client first;
  Client second;
  ask(first);
  ask(second);
  EXPECT_EQ(in_flight(), 2U);
  first.got->lease = std::move(second.got->lease);  // the first is lost here
  home.settle();
  EXPECT_EQ(in_flight(), 1U);
  first.got.reset();
  home.settle();
  EXPECT_EQ(in_flight(), 0U);
  EXPECT_EQ(view()->backends[0].failed, 0U);
}

TEST_F(OneLoop, ARefusalSaysWhyAndWhenToComeBack) {
  observe(refuses(0));
  observe(refuses(1));
  Client client;
  ask(client);
  ASSERT_TRUE(client.got && client.got->refused);
  EXPECT_EQ(client.got->refused->error.kind, ErrorKind::kUnavailable);
  EXPECT_TRUE(client.got->refused->retry_after);
  EXPECT_NE(client.got->refused->why.find("gpu0: down"), std::string::npos);
}

TEST_F(OneLoop, WithoutAProbeEveryRefreshIsDoneAtOnce) {
  Client client;
  ask(client, "unknown");
  ASSERT_TRUE(client.got && client.got->refused);
  EXPECT_EQ(client.got->refused->error.kind, ErrorKind::kUnavailable);
}

TEST_F(OneLoop, AMissWaitsForTheProbe) {
  int refreshes = 0;
  engine.on_refresh([&] { ++refreshes; });
  Client client;
  ask(client, "unknown");
  EXPECT_FALSE(client.got);
  EXPECT_EQ(refreshes, 1);
  observe(has(0, {"m"}));
  observe(has(1, {"m"}));
  engine.refresh_done();
  home.settle();
  ASSERT_TRUE(client.got && client.got->refused);
  EXPECT_EQ(client.got->refused->error.kind, ErrorKind::kNoSuchModel);
}

TEST_F(OneLoop, ARefreshThatNeverEndsEndsByTheTick) {
  engine.on_refresh([] {});
  Client client;
  ask(client, "unknown");
  home.advance(1999ms);
  EXPECT_FALSE(client.got);
  home.advance(1ms);
  ASSERT_TRUE(client.got && client.got->refused);
}

TEST_F(OneLoop, ACancelledWaitEndsAndIsForgotten) {
  engine.on_refresh([] {});
  Client client;
  ask(client, "late");
  client.cancel.trigger(net::CancelReason::kClientGone);
  home.settle();
  ASSERT_TRUE(client.got && client.got->refused);
  EXPECT_EQ(client.got->refused->error.kind, ErrorKind::kCancelled);
  EXPECT_EQ(client.got->refused->error.origin, Origin::kClient);
  observe(has(0, {"late"}));
  EXPECT_EQ(in_flight(), 0U);
}

TEST_F(OneLoop, AWaitWhoseFrameIsDestroyedIsForgotten) {
  engine.on_refresh([] {});
  Client client;
  {
    net::OwnedTask task(home);
    task.start(acquire(port, request(engine, "late"), client));
    home.settle();
  }
  observe(has(0, {"late"}));
  EXPECT_EQ(in_flight(), 0U);
}

TEST_F(OneLoop, AnInstanceThatGoesDownRevokesWhatItOwes) {
  Client streaming;
  Client waiting;
  engine.set_draining(BackendId{1}, true);
  home.settle();
  ask(streaming);
  ask(waiting);
  streaming.got->lease.first_byte(Lease::Tell::kNow);
  observe(refuses(0));
  EXPECT_FALSE(streaming.cancel.triggered());
  EXPECT_EQ(waiting.cancel.reason(), net::CancelReason::kRevoked);
  EXPECT_EQ(engine.metrics().revoked(), 1U);
  waiting.got->lease.settle(AttemptResult::kRevoked, {}, {});
}

TEST_F(OneLoop, HealthChangesAreLoggedCountedAndTold) {
  std::vector<HealthState> told;
  engine.on_health([&](const core::HealthChanged& changed) { told.push_back(changed.to); });
  log.lines.clear();
  observe(refuses(1));
  ASSERT_EQ(log.lines.size(), 1U);
  EXPECT_EQ(log.lines[0],
            "warn instance health instance=gpu1 from=up to=down reason=connection refused");
  EXPECT_EQ(told, std::vector{HealthState::kDown});
  EXPECT_EQ((engine.metrics().health_changes().at({"gpu1", "down"})), 1U);
}

TEST_F(OneLoop, ProbationOpensByItselfWhenTheWaitIsOver) {
  observe(refuses(0));
  observe({BackendId{0}, Observed::Kind::kAnswered, nullptr, nullptr, {}, {}});
  EXPECT_EQ(view()->backends[0].health, HealthState::kDown);
  home.advance(1s);
  EXPECT_EQ(view()->backends[0].health, HealthState::kProbation);
}

TEST_F(OneLoop, WhatAnOperatorDidIsSeenAtOnce) {
  (void)view();
  engine.set_draining(BackendId{0}, true);
  home.settle();
  EXPECT_EQ(engine.view()->backends[0].health, HealthState::kDraining);
  engine.set_draining(BackendId{0}, false);
  home.settle();
  EXPECT_EQ(engine.view()->backends[0].health, HealthState::kUp);
}

TEST_F(OneLoop, CountsAloneAreNoReasonForASnapshotBeforeFiftyMilliseconds) {
  const auto before = view();
  Client client;
  ask(client);
  home.advance(49ms);
  EXPECT_EQ(engine.view(), before) << "nothing was copied";
  home.advance(1ms);
  EXPECT_EQ(engine.view()->backends[0].in_flight, 1U);
  EXPECT_EQ(before->backends[0].in_flight, 0U) << "old snapshots stay as they were";
}

TEST_F(OneLoop, WhatIsInstalledIsSeenAtOnceAndBringsTheCountsWithIt) {
  (void)view();
  Client client;
  ask(client);
  observe(has(1, {"m", "n"}));
  EXPECT_EQ(engine.view()->backends[1].catalogue->size(), 2U);
  EXPECT_EQ(engine.view()->backends[0].in_flight, 1U);
}

TEST_F(OneLoop, ManyEventsOfATurnAreOneSnapshot) {
  const auto before = view();
  for (int i = 0; i < 10; ++i) engine.observe(has(0, {"m"}));
  const auto now = view();
  EXPECT_EQ(now, before) << "nothing has happened yet";
  home.settle();
  EXPECT_EQ(engine.view()->generation, before->generation + 10);
}

TEST_F(OneLoop, ATickComesAtItsTimeAlsoWhenAnEarlierOneIsWanted) {
  observe(refuses(0));
  observe({BackendId{0}, Observed::Kind::kAnswered, nullptr, nullptr, {}, {}});
  Client client;  // its counts are due sooner than the end of the wait
  ask(client);
  home.advance(999ms);
  EXPECT_EQ(engine.view()->backends[0].health, HealthState::kDown);
  home.advance(1ms);
  EXPECT_EQ(engine.view()->backends[0].health, HealthState::kProbation);
}

// --- two loops ---

class TwoLoops : public ::testing::Test {
 protected:
  TwoLoops() {
    engine.observe(has(0, {"m"}));
    home.settle();
    port.emplace(engine, there);
  }
  void ask(Client& client) { there.spawn(acquire(*port, request(engine, "m"), client)); }
  void both() {
    for (int i = 0; i < 4; ++i) home.settle(), there.settle();
  }
  std::uint32_t in_flight() { return engine.view_now()->backends[0].in_flight; }

  ManualLoop home;
  ManualLoop there;
  RecordingLog log;
  Engine engine{home, {}, core::testing::specs(1), log};
  std::optional<Port> port;
};

TEST_F(TwoLoops, AGrantTravelsAndItsEndTravelsBack) {
  Client client;
  ask(client);
  there.settle();
  EXPECT_FALSE(client.got);
  both();
  ASSERT_TRUE(client.got && client.got->lease);
  EXPECT_EQ(in_flight(), 1U);
  client.got->lease.settle(AttemptResult::kServed, {}, {});
  both();
  EXPECT_EQ(in_flight(), 0U);
}

TEST_F(TwoLoops, WhoLeavesBeforeTheEngineHeardOfHimIsForgotten) {
  Client client;
  ask(client);
  there.settle();
  client.cancel.trigger(net::CancelReason::kClientGone);
  both();
  EXPECT_EQ(client.got->refused->error.kind, ErrorKind::kCancelled);
  EXPECT_EQ(in_flight(), 0U);
}

TEST_F(TwoLoops, AGrantThatMeetsACancelledWaitComesBack) {
  Client client;
  ask(client);
  there.settle();
  home.settle();  // granted, and under way
  EXPECT_EQ(in_flight(), 1U);
  client.cancel.trigger(net::CancelReason::kClientGone);
  both();
  EXPECT_EQ(client.got->refused->error.kind, ErrorKind::kCancelled);
  EXPECT_EQ(in_flight(), 0U);
}

TEST_F(TwoLoops, AGrantThatFindsNobodyComesBack) {
  Client client;
  {
    net::OwnedTask task(there);
    task.start(acquire(*port, request(engine, "m"), client));
    there.settle();
    home.settle();
  }
  both();
  EXPECT_EQ(in_flight(), 0U);
}

TEST_F(TwoLoops, AGrantThatFindsItsPortClosedComesBack) {
  Client client;
  {
    net::OwnedTask task(there);
    task.start(acquire(*port, request(engine, "m"), client));
    there.settle();
    home.settle();
  }
  port.reset();
  both();
  EXPECT_EQ(in_flight(), 0U);
}

TEST_F(TwoLoops, AWaitWhosePortClosesIsForgotten) {
  engine.on_refresh([] {});
  Client client;
  {
    net::OwnedTask task(there);
    task.start(acquire(*port, request(engine, "late"), client));
    there.settle();
    home.settle();
  }
  port.reset();
  home.settle();
  engine.observe(has(0, {"late"}));
  both();
  EXPECT_EQ(in_flight(), 0U);
}

TEST_F(TwoLoops, ARevocationThatMeetsTheFirstByteIsIgnored) {
  Client client;
  ask(client);
  both();
  engine.observe(refuses(0));
  home.settle();  // the revocation is under way
  client.got->lease.first_byte(Lease::Tell::kNow);
  both();
  EXPECT_FALSE(client.cancel.triggered());
  client.got->lease.settle(AttemptResult::kDied, {}, {});
  both();
  EXPECT_EQ(in_flight(), 0U);
}

TEST_F(TwoLoops, ARevocationThatMeetsTheEndIsIgnored) {
  Client client;
  ask(client);
  both();
  engine.observe(refuses(0));
  home.settle();
  client.got->lease.settle(AttemptResult::kServed, {}, {});
  both();
  EXPECT_FALSE(client.cancel.triggered());
  EXPECT_EQ(in_flight(), 0U);
}

TEST_F(TwoLoops, ARequestMayAskAgainUnderItsName) {
  Client client;
  const core::RequestArrived arrived = request(engine, "m");
  there.spawn(acquire(*port, arrived, client));
  there.settle();
  home.settle();
  client.cancel.trigger(net::CancelReason::kClientGone);
  there.settle();
  client.cancel.reset();
  there.spawn(acquire(*port, arrived, client));
  both();
  ASSERT_TRUE(client.got && client.got->lease);
  EXPECT_EQ(in_flight(), 1U);
}

TEST_F(TwoLoops, RecordsTravel) {
  port->record({{.route = "/api/chat", .status = 200}, "m:latest", "gpu0", {}});
  port->count_malformed("bad_method");
  both();
  EXPECT_EQ(engine.metrics().requests().size(), 1U);
  EXPECT_EQ(engine.metrics().malformed().at("bad_method"), 1U);
}

// --- threads ---

// Clients of one loop; the last of all loops to finish stops the home loop.
struct Tally {
  int granted = 0;
  int refused = 0;
};

net::Task<void> keep_asking(Port& port, std::uint64_t seed, Tally& tally, std::atomic<int>& live) {
  Rng rng(seed);
  for (int i = 0; i < 100; ++i) {
    net::Cancel cancel;
    if (rng.below(10) == 0) cancel.trigger(net::CancelReason::kClientGone);
    const std::string_view model = rng.below(9) > 0 ? "m" : "late";
    Grant grant = co_await port.acquire(request(port.engine(), model), cancel);
    ++(grant.lease ? tally.granted : tally.refused);
    if (!grant.lease) continue;
    if (rng.below(2) == 0) grant.lease.first_byte(Lease::Tell::kNow);
    if (rng.below(4) == 0) co_await port.loop().sleep_for(100us);
    const auto result = rng.below(3) == 0 ? AttemptResult::kFailed : AttemptResult::kServed;
    if (rng.below(5) > 0) grant.lease.settle(result, "test", {});
    port.record({{.route = "/api/chat", .status = 200}, "m:latest", "gpu0", {}});
  }
  if (--live == 0) port.engine().home().stop();
}

// Cancels and destroys waits and leases wherever they are under way.
net::Task<void> interrupt(Port& port, std::uint64_t seed) {
  Rng rng(seed);
  for (;;) {
    net::OwnedTask task(port.loop());
    Client client;
    task.start(acquire(port, request(port.engine(), "m"), client));
    co_await port.loop().sleep_for(Duration(static_cast<std::int64_t>(rng.below(300'000))));
    if (rng.below(2) == 0) client.cancel.trigger(net::CancelReason::kClientGone);
  }
}

// Instances come and go, and somebody reads the snapshots.
net::Task<void> disturb(net::Loop& loop, Engine& engine) {
  for (std::uint32_t i = 0;; ++i) {
    if (i % 7 == 0) engine.observe(refuses(i % 2));
    engine.observe(has(i % 2, {"m"}));
    const auto view = engine.view();
    EXPECT_LT(view->backends[0].in_flight + view->backends[1].in_flight, 1000U);
    co_await loop.sleep_for(1ms);
  }
}

TEST(Threads, NothingIsLostBetweenLoops) {
  constexpr std::size_t kWorkers = 3;
  constexpr std::size_t kClients = 4;  // of each worker
  RecordingLog log;
  net::EpollLoop home;
  net::EpollLoop aside;
  std::array<net::EpollLoop, kWorkers> loops;
  Engine engine(home, {}, core::testing::specs(2), log);
  engine.on_refresh([&] {
    engine.observe(has(0, {"m"}));
    engine.observe(has(1, {"m"}));
    engine.refresh_done();
  });
  std::array<Tally, kWorkers> tallies;
  std::atomic<int> live{kWorkers * kClients};
  std::vector<std::unique_ptr<Port>> ports;
  for (std::size_t i = 0; i < kWorkers; ++i) {
    Port& port = *ports.emplace_back(std::make_unique<Port>(engine, loops[i]));
    for (std::uint64_t client = 0; client < kClients; ++client) {
      loops[i].spawn(keep_asking(port, 10 * i + client, tallies[i], live));
    }
    loops[i].spawn(interrupt(port, i));
  }
  aside.spawn(disturb(aside, engine));
  {
    std::vector<std::unique_ptr<net::LoopThread>> threads;
    threads.push_back(std::make_unique<net::LoopThread>(aside, "aside"));
    for (net::EpollLoop& loop : loops) {
      threads.push_back(std::make_unique<net::LoopThread>(loop, "worker"));
    }
    home.run();
  }
  // What the loops had under way when they stopped is given back as they are taken down.
  for (net::EpollLoop& loop : loops) loop.abandon();
  ports.clear();
  // Until a snapshot is due that tells of it.
  for (const Instant end = home.now() + 20ms; home.now() < end;) home.turn(end);
  const auto view = engine.view();
  for (const core::BackendView& each : view->backends) EXPECT_EQ(each.in_flight, 0U);
  for (const Tally& tally : tallies) EXPECT_EQ(tally.granted + tally.refused, 400);
}

}  // namespace
}  // namespace drover::engine
