#include "net/epoll_loop.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <string>
#include <thread>

#include "net/epoll_stream.h"
#include "net/testing.h"

namespace drover::net {
namespace {

using namespace testing;
using StreamPtr = std::unique_ptr<Stream>;

const Endpoint kLoopback = *Endpoint::parse("127.0.0.1:0");
// Bounds a broken test; no assertion depends on it.
constexpr Duration kPatience = 20s;

Task<void> accept_into(Listener& listener, Cancel* cancel, std::optional<Result<StreamPtr>>& out) {
  Result<StreamPtr> accepted = co_await listener.accept(cancel);
  out.emplace(std::move(accepted));
}

Task<void> connect_into(Loop& loop, Endpoint to, Instant deadline, Cancel* cancel,
                        std::optional<Result<StreamPtr>>& out) {
  Result<StreamPtr> connected = co_await loop.connect(to, deadline, cancel);
  out.emplace(std::move(connected));
}

// Two ends of one connection over the loopback interface.
struct Pair {
  explicit Pair(EpollLoop& loop, Endpoint at = kLoopback) {
    listener = std::move(loop.listen(at, {})).value();
    std::optional<Result<StreamPtr>> accepted, connected;
    loop.spawn(accept_into(*listener, nullptr, accepted));
    run_to_end(loop,
               connect_into(loop, listener->local(), loop.now() + kPatience, nullptr, connected));
    while (!accepted) loop.turn(loop.now() + 100ms);
    client = std::move(*connected).value();
    server = std::move(*accepted).value();
  }
  std::unique_ptr<Listener> listener;
  StreamPtr client;
  StreamPtr server;
};

// Turns until `done`.
template <class Done>
void turn_until(Loop& loop, Done done) {
  const Instant limit = loop.now() + kPatience;
  while (!done() && loop.now() < limit) loop.turn(loop.now() + 100ms);
  ASSERT_TRUE(done());
}

void send(Stream& stream, std::string_view text) {
  const std::array<std::string_view, 1> parts = {text};
  const Io io = stream.write(parts);
  ASSERT_EQ(io.bytes, text.size());
}

// Reads until `bytes` have come or the stream ends.
Task<void> read_exactly(Stream& stream, std::size_t bytes, std::string& into) {
  while (into.size() < bytes) {
    const Instant deadline = stream.loop().now() + kPatience;
    const WaitResult waited = co_await stream.readable(deadline);
    if (waited != WaitResult::kReady) co_return;
    const Arrived got = stream.receive();
    into.append(got.bytes);
    if (got.state == Io::State::kEnd || got.state == Io::State::kFailed) co_return;
  }
}

TEST(EpollStream, IsSmall) { EXPECT_LE(sizeof(EpollStream), 192u); }

TEST(EpollStream, CarriesBytesBothWaysOverIpv4AndIpv6) {
  for (const char* at : {"127.0.0.1:0", "[::1]:0"}) {
    SCOPED_TRACE(at);
    EpollLoop loop;
    Pair pair(loop, *Endpoint::parse(at));
    EXPECT_EQ(pair.client->peer(), pair.listener->local());
    EXPECT_TRUE(pair.server->peer().is_loopback());
    send(*pair.client, "question");
    std::string got;
    run_to_end(loop, read_exactly(*pair.server, 8, got));
    EXPECT_EQ(got, "question");
    const std::array<std::string_view, 3> parts = {"an", "", "swer"};
    EXPECT_EQ(pair.server->write(parts).bytes, 6u);
    got.clear();
    run_to_end(loop, read_exactly(*pair.client, 6, got));
    EXPECT_EQ(got, "answer");
  }
}

TEST(EpollStream, BothEndsHaveNoDelaySet) {
  EpollLoop loop;
  Pair pair(loop);
  for (Stream* stream : {pair.client.get(), pair.server.get()}) {
    int on = 0;
    socklen_t size = sizeof(on);
    getsockopt(static_cast<EpollStream*>(stream)->fd(), IPPROTO_TCP, TCP_NODELAY, &on, &size);
    EXPECT_NE(on, 0);
  }
}

TEST(EpollLoop, WhatArrivesIsPutAtTheBeginningOfALine) {
  EpollLoop loop;
  const auto is_whole = [](const char* at) {
    return reinterpret_cast<std::uintptr_t>(at) % ReceiveMemory::kLineBytes == 0;
  };
  EXPECT_TRUE(is_whole(loop.scratch().data()));
  EXPECT_EQ(loop.scratch().size(), Loop::kScratchBytes);
  ReadAhead ahead;
  EXPECT_TRUE(is_whole(ahead.room().data()));
  ahead.keep({Io::State::kMoved, 100});
  EXPECT_TRUE(is_whole(ahead.room().data())) << "the next one, too";
}

Task<void> sleep_and_say(Loop& loop, Instant until, bool& over) {
  co_await loop.sleep_until(until);
  over = true;
}

TEST(EpollLoop, ATimerIsNeitherEarlyNorForgottenWhereWholeMillisecondsAreWaitedFirst) {
  EpollLoop loop;
  for (const Duration wait : {Duration(300us), Duration(1ms), Duration(2300us)}) {
    const Instant due = loop.now() + wait;
    bool fired = false;
    loop.spawn(sleep_and_say(loop, due, fired));
    turn_until(loop, [&] { return fired; });
    EXPECT_GE(loop.now(), due);
  }
}

TEST(EpollStream, AShortReadIsKnownToHaveDrainedTheSocket) {
  EpollLoop loop;
  Pair pair(loop);
  send(*pair.client, "abcdef");
  turn_until(loop, [&] { return pair.server->has_input(); });
  std::array<char, 4> four{};
  EXPECT_EQ(pair.server->read(four).bytes, 4u);
  EXPECT_TRUE(pair.server->has_input()) << "a full read says nothing about what is left";
  EXPECT_EQ(pair.server->read(four).bytes, 2u);
  EXPECT_FALSE(pair.server->has_input());
  send(*pair.client, "g");
  turn_until(loop, [&] { return pair.server->has_input(); });
  EXPECT_EQ(pair.server->read(four).bytes, 1u);
}

TEST(EpollStream, WhatNoEventHasToldOfIsFoundWhenTheKernelIsAsked) {
  EpollLoop loop;
  Pair pair(loop);
  EXPECT_FALSE(pair.server->look_for_input());
  send(*pair.client, "a");
  EXPECT_FALSE(pair.server->has_input()) << "the loop has not run";
  EXPECT_TRUE(pair.server->look_for_input());
  turn_until(loop, [&] { return pair.server->has_input(); });
  std::array<char, 4> four{};
  EXPECT_EQ(pair.server->read(four).bytes, 1u) << "a look takes nothing";
  EXPECT_FALSE(pair.server->look_for_input());
  pair.client->finish_writing();
  EXPECT_TRUE(pair.server->look_for_input()) << "an end is to be read, too";
}

TEST(EpollStream, AFullReadOfExactlyEverythingFindsNothingMore) {
  EpollLoop loop;
  Pair pair(loop);
  send(*pair.client, "abcd");
  turn_until(loop, [&] { return pair.server->has_input(); });
  std::array<char, 4> four{};
  EXPECT_EQ(pair.server->read(four).bytes, 4u);
  EXPECT_EQ(pair.server->read(four).state, Io::State::kWouldBlock);
  EXPECT_FALSE(pair.server->has_input());
}

TEST(EpollStream, LastBytesAndTheEndAreBothReadAfterAHangUp) {
  EpollLoop loop;
  Pair pair(loop);
  send(*pair.client, "bye");
  pair.client->finish_writing();
  turn_until(loop, [&] { return pair.server->hung_up(); });
  std::array<char, 64> buffer{};
  EXPECT_EQ(pair.server->read(buffer).bytes, 3u);
  EXPECT_TRUE(pair.server->has_input()) << "no new edge will announce the end";
  EXPECT_EQ(pair.server->read(buffer).state, Io::State::kEnd);
  send(*pair.server, "still open this way");
  std::string got;
  run_to_end(loop, read_exactly(*pair.client, 19, got));
  EXPECT_EQ(got, "still open this way");
}

TEST(EpollStream, WatchesForTheHangUpWhileNobodyReads) {
  EpollLoop loop;
  Pair pair(loop);
  Cancel gone;
  pair.server->watch_hangup(&gone);
  std::optional<WaitResult> slept;
  loop.spawn(note_sleep(loop, kNever, &gone, slept));
  pair.client.reset();
  turn_until(loop, [&] { return slept.has_value(); });
  EXPECT_EQ(slept, WaitResult::kCancelled);
  EXPECT_EQ(gone.reason(), CancelReason::kClientGone);
}

TEST(EpollStream, ResetOnCloseFailsThePeersReadAndWrite) {
  EpollLoop loop;
  Pair pair(loop);
  pair.client->reset_on_close();
  pair.client.reset();
  turn_until(loop, [&] { return pair.server->hung_up(); });
  std::array<char, 8> buffer{};
  EXPECT_EQ(pair.server->read(buffer).state, Io::State::kFailed);
  const std::array<std::string_view, 1> parts = {"x"};
  EXPECT_EQ(pair.server->write(parts).state, Io::State::kFailed) << "and no SIGPIPE";
}

Task<void> send_much(Stream& stream, const std::string& text, std::optional<Result<void>>& out) {
  const std::array<std::string_view, 1> parts = {text};
  Result<void> written = co_await write_all(stream, parts, kPatience, nullptr);
  out.emplace(std::move(written));
}

TEST(EpollStream, AFullSocketPushesBackUntilThePeerReads) {
  EpollLoop loop;
  Pair pair(loop);
  std::string much(16 << 20, 'x');
  for (std::size_t i = 0; i < much.size(); i += 1000) much[i] = static_cast<char>('a' + i % 26);
  std::optional<Result<void>> sent;
  loop.spawn(send_much(*pair.client, much, sent));
  for (int i = 0; i < 5; ++i) loop.turn(loop.now());
  EXPECT_FALSE(sent) << "the kernel's buffers cannot hold this much";
  std::string got;
  run_to_end(loop, read_exactly(*pair.server, much.size(), got));
  turn_until(loop, [&] { return sent.has_value(); });
  EXPECT_TRUE(sent->ok());
  EXPECT_TRUE(got == much);
}

TEST(EpollStream, AWriterWaitingOnAFullSocketLearnsOfAReset) {
  EpollLoop loop;
  Pair pair(loop);
  const std::string much(16 << 20, 'x');
  std::optional<Result<void>> sent;
  loop.spawn(send_much(*pair.client, much, sent));
  for (int i = 0; i < 5; ++i) loop.turn(loop.now());
  pair.server->reset_on_close();
  pair.server.reset();
  turn_until(loop, [&] { return sent.has_value(); });
  EXPECT_EQ(sent->error().kind, ErrorKind::kClosed);
}

// Closing a stream and taking a new one with the same descriptor in one turn.
TEST(EpollStream, AnEventOfAClosedDescriptorDoesNotReachItsSuccessor) {
  EpollLoop loop;
  Pair first(loop);
  const int fd = static_cast<EpollStream&>(*first.server).fd();
  const int kept_open = ::fcntl(fd, F_DUPFD_CLOEXEC, 100);  // keeps the registration in the kernel
  first.server.reset();
  std::optional<Result<StreamPtr>> successor;
  run_to_end(loop, connect_into(loop, first.listener->local(), kNever, nullptr, successor));
  Stream& second = *successor->value();
  ASSERT_EQ(static_cast<EpollStream&>(second).fd(), fd) << "the lowest free number is used";
  send(*first.client, "for the dead");
  for (int i = 0; i < 5; ++i) loop.turn(loop.now());
  EXPECT_FALSE(second.has_input());
  ::close(kept_open);
}

TEST(Connect, IsRefusedWithWordsWhereNobodyListens) {
  EpollLoop loop;
  Endpoint free_port;
  {
    Result<std::unique_ptr<Listener>> listener = loop.listen(kLoopback, {});
    free_port = listener.value()->local();
  }
  std::optional<Result<StreamPtr>> out;
  run_to_end(loop, connect_into(loop, free_port, loop.now() + kPatience, nullptr, out));
  ASSERT_FALSE(out->ok());
  EXPECT_EQ(out->error().kind, ErrorKind::kRefused);
  EXPECT_EQ(out->error().retry, Retry::kSafe);
  EXPECT_EQ(out->error().origin, Origin::kInstance);
  EXPECT_EQ(out->error().message, "connect to " + free_port.to_string() + ": refused");
}

// A listener whose backlog is full drops the handshake, so the connect hangs.
class FullBacklog {
 public:
  explicit FullBacklog(EpollLoop& loop) : loop_(loop) {
    listener_ = std::move(loop.listen(kLoopback, {.backlog = 0})).value();
    for (int i = 0; i < 3; ++i) {
      const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      sockaddr_storage address;
      const socklen_t size = listener_->local().to_sockaddr(address);
      (void)::connect(fd, reinterpret_cast<sockaddr*>(&address), size);
      fds_.push_back(fd);
    }
  }
  ~FullBacklog() {
    for (const int fd : fds_) ::close(fd);
  }
  Endpoint at() const { return listener_->local(); }

 private:
  EpollLoop& loop_;
  std::unique_ptr<Listener> listener_;
  std::vector<int> fds_;
};

TEST(Connect, TimesOutWhenTheHandshakeGetsNoAnswer) {
  EpollLoop loop;
  const FullBacklog full(loop);
  std::optional<Result<StreamPtr>> out;
  run_to_end(loop, connect_into(loop, full.at(), loop.now() + 20ms, nullptr, out));
  ASSERT_FALSE(out->ok());
  EXPECT_EQ(out->error().kind, ErrorKind::kTimeout);
  EXPECT_EQ(out->error().retry, Retry::kSafe);
}

TEST(Connect, AFullDescriptorTableIsNotTheFaultOfTheOtherSide) {
  EpollLoop loop;
  auto listener = std::move(loop.listen(kLoopback, {})).value();
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const int lowest_free = dup(0);
  close(lowest_free);
  rlimit full = before;
  full.rlim_cur = static_cast<rlim_t>(lowest_free);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &full), 0);
  std::optional<Result<StreamPtr>> out;
  run_to_end(loop, connect_into(loop, listener->local(), loop.now() + kPatience, nullptr, out));
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_FALSE(out->ok());
  EXPECT_EQ(out->error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(out->error().origin, Origin::kSelf);
}

TEST(Connect, CanBeCancelledBeforeAndDuringTheHandshake) {
  EpollLoop loop;
  const FullBacklog full(loop);
  Cancel cancel;
  std::optional<Result<StreamPtr>> during, before;
  loop.spawn(connect_into(loop, full.at(), kNever, &cancel, during));
  for (int i = 0; i < 3; ++i) loop.turn(loop.now());
  EXPECT_FALSE(during);
  cancel.trigger(CancelReason::kClientGone);
  loop.spawn(connect_into(loop, full.at(), kNever, &cancel, before));
  turn_until(loop, [&] { return before && during; });
  EXPECT_EQ(during->error().kind, ErrorKind::kCancelled);
  EXPECT_EQ(before->error().kind, ErrorKind::kCancelled);
  EXPECT_EQ(during->error().retry, Retry::kNever);
}

TEST(Connect, AbandonedDuringTheHandshakeClosesItsSocket) {
  EpollLoop loop;
  const FullBacklog full(loop);
  std::optional<Result<StreamPtr>> out;
  loop.spawn(connect_into(loop, full.at(), kNever, nullptr, out));
  loop.turn(loop.now());
  loop.abandon();
  EXPECT_FALSE(out);
  EXPECT_EQ(loop.live_tasks(), 0u);
}

TEST(Listen, ReportsAnAddressInUse) {
  EpollLoop loop;
  Result<std::unique_ptr<Listener>> first = loop.listen(kLoopback, {});
  Result<std::unique_ptr<Listener>> second = loop.listen(first.value()->local(), {});
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().kind, ErrorKind::kSystem);
  EXPECT_NE(second.error().message.find("address already in use"), std::string::npos);
}

TEST(Listen, Ipv4AndIpv6WildcardsCanShareAPort) {
  EpollLoop loop;
  Result<std::unique_ptr<Listener>> v6 = loop.listen(*Endpoint::parse("[::]:0"), {});
  ASSERT_TRUE(v6.ok());
  const Endpoint v4 = Endpoint::parse("0.0.0.0:0")->with_port(v6.value()->local().port());
  EXPECT_TRUE(loop.listen(v4, {}).ok());
}

Task<void> count_accepts(Listener& listener, Cancel* cancel, int& count) {
  for (;;) {
    Result<StreamPtr> accepted = co_await listener.accept(cancel);
    if (!accepted.ok()) co_return;
    ++count;
  }
}

TEST(Listen, TwoLoopsShareAPortWithReusePort) {
  EpollLoop a, b;
  auto first = std::move(a.listen(kLoopback, {.reuse_port = true})).value();
  auto second = std::move(b.listen(first->local(), {.reuse_port = true})).value();
  int in_a = 0;
  int in_b = 0;
  a.spawn(count_accepts(*first, nullptr, in_a));
  b.spawn(count_accepts(*second, nullptr, in_b));
  constexpr int kConnections = 64;
  std::vector<std::optional<Result<StreamPtr>>> out(kConnections);
  for (auto& one : out) a.spawn(connect_into(a, first->local(), kNever, nullptr, one));
  const Instant limit = a.now() + kPatience;
  while (in_a + in_b < kConnections && a.now() < limit) {
    a.turn(a.now() + 1ms);
    b.turn(b.now());
  }
  EXPECT_EQ(in_a + in_b, kConnections);
  EXPECT_GT(in_a, 0);
  EXPECT_GT(in_b, 0);
}

TEST(Accept, TakesABurstOfConnections) {
  EpollLoop loop;
  auto listener = std::move(loop.listen(kLoopback, {})).value();
  constexpr int kConnections = 200;
  std::vector<std::optional<Result<StreamPtr>>> out(kConnections);
  for (auto& one : out) loop.spawn(connect_into(loop, listener->local(), kNever, nullptr, one));
  for (int i = 0; i < 5; ++i) loop.turn(loop.now());
  int count = 0;
  loop.spawn(count_accepts(*listener, nullptr, count));
  loop.turn(loop.now());
  EXPECT_LE(count, 8) << "a burst yields to others";
  turn_until(loop, [&] { return count == kConnections; });
}

TEST(Accept, CanBeCancelled) {
  EpollLoop loop;
  auto listener = std::move(loop.listen(kLoopback, {})).value();
  Cancel cancel;
  std::optional<Result<StreamPtr>> out;
  loop.spawn(accept_into(*listener, &cancel, out));
  loop.turn(loop.now());
  cancel.trigger(CancelReason::kShutdown);
  turn_until(loop, [&] { return out.has_value(); });
  EXPECT_EQ(out->error().kind, ErrorKind::kCancelled);
}

TEST(Accept, GivesThoseWhoWaitedBeforeItIsCancelled) {
  EpollLoop loop;
  auto listener = std::move(loop.listen(kLoopback, {})).value();
  std::optional<Result<StreamPtr>> clients[3];
  for (auto& client : clients) {
    run_to_end(loop,
               connect_into(loop, listener->local(), loop.now() + kPatience, nullptr, client));
  }
  Cancel cancel;
  cancel.trigger(CancelReason::kShutdown);
  for (int i = 0; i < 3; ++i) {
    std::optional<Result<StreamPtr>> accepted;
    run_to_end(loop, accept_into(*listener, &cancel, accepted));
    EXPECT_TRUE(accepted->ok()) << i;
  }
  std::optional<Result<StreamPtr>> nobody;
  run_to_end(loop, accept_into(*listener, &cancel, nobody));
  EXPECT_EQ(nobody->error().kind, ErrorKind::kCancelled);
}

TEST(Accept, WaitsOutAFullDescriptorTable) {
  EpollLoop loop;
  auto listener = std::move(loop.listen(kLoopback, {})).value();
  std::optional<Result<StreamPtr>> connected, accepted;
  run_to_end(loop, connect_into(loop, listener->local(), kNever, nullptr, connected));
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
  rlimit none = old;
  none.rlim_cur = 3;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  loop.spawn(accept_into(*listener, nullptr, accepted));
  for (int i = 0; i < 3; ++i) loop.turn(loop.now());
  EXPECT_FALSE(accepted);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
  turn_until(loop, [&] { return accepted.has_value(); });
  EXPECT_TRUE(accepted->ok());
}

TEST(AdoptListener, TakesASocketThatListensAlready) {
  EpollLoop loop;
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_storage address;
  const socklen_t size = kLoopback.to_sockaddr(address);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(fd, 8), 0);
  auto listener = std::move(loop.adopt_listener(fd)).value();
  std::optional<Result<StreamPtr>> accepted, connected;
  loop.spawn(accept_into(*listener, nullptr, accepted));
  loop.spawn(connect_into(loop, listener->local(), kNever, nullptr, connected));
  turn_until(loop, [&] { return accepted && connected; });
  EXPECT_TRUE(accepted->ok());
}

TEST(AdoptListener, RefusesAnythingElse) {
  EpollLoop loop;
  EXPECT_FALSE(loop.adopt_listener(-1).ok());
  EXPECT_FALSE(loop.adopt_listener(::open("/dev/null", O_RDONLY | O_CLOEXEC)).ok());
  EXPECT_FALSE(loop.adopt_listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)).ok());
  EXPECT_FALSE(loop.adopt_listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)).ok());
}

Task<void> echo(StreamPtr stream) {
  for (;;) {
    const WaitResult waited = co_await stream->readable(stream->loop().now() + kPatience);
    if (waited != WaitResult::kReady) co_return;
    const Arrived got = stream->receive();
    if (got.state == Io::State::kWouldBlock) continue;
    if (got.state != Io::State::kMoved) co_return;
    const std::string copy(got.bytes);
    const std::array<std::string_view, 1> parts = {copy};
    const Result<void> written = co_await write_all(*stream, parts, kPatience, nullptr);
    if (!written.ok()) co_return;
  }
}

Task<void> serve_echo(Loop& loop, Listener& listener, Cancel& cancel) {
  for (;;) {
    Result<StreamPtr> accepted = co_await listener.accept(&cancel);
    if (!accepted.ok()) break;
    loop.spawn(echo(std::move(accepted).value()));
  }
  loop.stop();
}

Task<void> ask_echo(Loop& loop, Endpoint to, int& answered) {
  Result<StreamPtr> connected = co_await loop.connect(to, kNever, nullptr);
  if (!connected.ok()) co_return;
  Stream& stream = *connected.value();
  for (int i = 0; i < 20; ++i) {
    const std::string text(static_cast<std::size_t>(1 + i * 997), 'q');
    const std::array<std::string_view, 1> parts = {text};
    const Result<void> written = co_await write_all(stream, parts, kPatience, nullptr);
    std::string got;
    co_await read_exactly(stream, text.size(), got);
    if (!written.ok() || got != text) co_return;
  }
  ++answered;
}

TEST(EpollLoop, ServesAnotherLoopInAnotherThread) {
  EpollLoop server;
  auto listener = std::move(server.listen(kLoopback, {})).value();
  Cancel shutdown;
  server.spawn(serve_echo(server, *listener, shutdown));
  std::thread thread([&server] { server.run(); });
  EpollLoop client;
  int answered = 0;
  for (int i = 0; i < 20; ++i) client.spawn(ask_echo(client, listener->local(), answered));
  turn_until(client, [&] { return client.live_tasks() == 0; });
  server.post([&shutdown] { shutdown.trigger(CancelReason::kShutdown); });
  thread.join();
  EXPECT_EQ(answered, 20);
}

}  // namespace
}  // namespace drover::net
