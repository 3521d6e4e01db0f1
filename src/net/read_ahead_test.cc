#include "net/read_ahead.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <string>
#include <utility>

#include "base/rng.h"
#include "net/epoll_loop.h"
#include "net/epoll_stream.h"
#include "net/testing.h"

namespace drover::net {
namespace {

using namespace testing;

ReadAhead::Key keep(ReadAhead& ahead, std::string_view text) {
  const std::span<char> room = ahead.room();
  text.copy(room.data(), room.size());
  return ahead.keep({Io::State::kMoved, text.size()});
}

TEST(ReadAhead, ShowsWhatWasKept) {
  ReadAhead ahead;
  const ReadAhead::Key first = keep(ahead, "first");
  const ReadAhead::Key second = keep(ahead, "second");
  EXPECT_EQ(ahead.held(), 2u);
  EXPECT_EQ(ahead.take(second).bytes, "second");
  const Arrived got = ahead.take(first);
  EXPECT_EQ(got.state, Io::State::kMoved);
  EXPECT_EQ(got.bytes, "first");
  EXPECT_EQ(ahead.held(), 0u);
}

TEST(ReadAhead, ReadsAheadUntilTheTurnsRoomIsUsedUp) {
  ReadAhead ahead;
  const std::string most(Loop::kScratchBytes, 'x');
  EXPECT_TRUE(ahead.has_more(keep(ahead, most)));
  EXPECT_FALSE(ahead.has_more(keep(ahead, "a few bytes"))) << "the reading could have had more";
  EXPECT_TRUE(ahead.room().empty());
  ahead.begin_turn();
  EXPECT_EQ(ahead.room().size(), Loop::kScratchBytes);
}

TEST(ReadAhead, WhatNobodyTookOutlivesTheRoom) {
  ReadAhead ahead;
  const ReadAhead::Key kept = keep(ahead, "kept");
  const ReadAhead::Key dropped = keep(ahead, "dropped");
  ahead.begin_turn();
  ahead.drop(dropped);
  const ReadAhead::Key next = keep(ahead, "NEXT");
  EXPECT_EQ(next, dropped) << "keys are used again";
  ahead.begin_turn();
  const Arrived got = ahead.take(kept);
  EXPECT_EQ(got.bytes, "kept");
  EXPECT_EQ(ahead.take(next).bytes, "NEXT");
  EXPECT_EQ(got.bytes, "kept") << "shown until the loop turns";
  EXPECT_EQ(ahead.held(), 0u);
}

TEST(ReadAhead, GivesPieces) {
  ReadAhead ahead;
  const ReadAhead::Key key = keep(ahead, "abcdef");
  std::array<char, 4> four{};
  Io io;
  EXPECT_FALSE(ahead.take_some(key, four, io));
  EXPECT_EQ(std::string_view(four.data(), io.bytes), "abcd");
  ahead.begin_turn();
  EXPECT_TRUE(ahead.take_some(key, four, io));
  EXPECT_EQ(std::string_view(four.data(), io.bytes), "ef");
  EXPECT_EQ(ahead.held(), 0u);
}

// The kernel tells an error once.
TEST(ReadAhead, KeepsAFailureAndAnEnd) {
  ReadAhead ahead;
  const ReadAhead::Key failed = ahead.keep({Io::State::kFailed, 0});
  const ReadAhead::Key ended = ahead.keep({Io::State::kEnd, 0});
  ahead.begin_turn();
  EXPECT_EQ(ahead.take(failed).state, Io::State::kFailed);
  std::array<char, 4> four{};
  Io io;
  EXPECT_TRUE(ahead.take_some(ended, four, io));
  EXPECT_EQ(io.state, Io::State::kEnd);
}

// A stream and, by descriptor, the end that its peer holds.
struct Connection {
  explicit Connection(EpollLoop& loop) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()), 0);
    stream.emplace(loop, ends[0], Endpoint(), EpollStream::Handshake::kDone);
    EXPECT_TRUE(stream->open());
    peer = ends[1];
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { ::close(peer); }
  void say(std::string_view text) const {
    EXPECT_EQ(::write(peer, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  bool is_drained() const {
    char byte = 0;
    return ::recv(stream->fd(), &byte, 1, MSG_PEEK) < 0;
  }
  std::optional<EpollStream> stream;
  int peer = -1;
};

struct Heard {
  bool woken = false;
  std::string text;
};

// Once something is there, waits for `go` with it.
Task<void> hear(Stream& stream, Event& go, Heard& heard) {
  (void)co_await stream.readable(kNever);
  heard.woken = true;
  (void)co_await go.wait(kNever);
  heard.text += stream.receive().bytes;
}

// Somebody waits for the stream, and this comes; he has not run yet.
void say_to_a_waiter(EpollLoop& loop, Connection& connection, std::string_view text, Event& go,
                     Heard& heard) {
  loop.spawn(hear(*connection.stream, go, heard));
  loop.turn(loop.now());
  connection.say(text);
  loop.turn(loop.now());
}

TEST(ReadingAhead, ReadsForWhoeverWaits) {
  EpollLoop loop;
  Connection waited_on(loop), ignored(loop);
  Event go(loop);
  go.set();
  Heard heard;
  ignored.say("for nobody yet");
  say_to_a_waiter(loop, waited_on, "for the one who waits", go, heard);
  EXPECT_FALSE(heard.woken);
  EXPECT_TRUE(waited_on.is_drained());
  EXPECT_FALSE(ignored.is_drained());
  EXPECT_EQ(loop.ahead().held(), 1u);
  loop.turn(loop.now());
  EXPECT_EQ(heard.text, "for the one who waits");
  EXPECT_FALSE(waited_on.stream->has_input());
  EXPECT_EQ(loop.ahead().held(), 0u);
}

TEST(ReadingAhead, KeepsWhatIsNotTakenAtOnceAndKnowsOfMore) {
  EpollLoop loop;
  Connection slow(loop), other(loop);
  Event go(loop), now(loop);
  now.set();
  Heard heard, overheard;
  loop.spawn(hear(*other.stream, now, overheard));
  say_to_a_waiter(loop, slow, "early, ", go, heard);
  slow.say("late");
  other.say("what takes the room of the turn before");
  loop.turn(loop.now());
  loop.turn(loop.now());
  EXPECT_TRUE(heard.woken);
  EXPECT_EQ(overheard.text, "what takes the room of the turn before");
  go.set();
  loop.turn(loop.now());
  EXPECT_EQ(heard.text, "early, ");
  EXPECT_TRUE(slow.stream->has_input()) << "more came behind what was read ahead";
  EXPECT_EQ(slow.stream->receive().bytes, "late");
  EXPECT_FALSE(slow.stream->has_input());
  EXPECT_EQ(slow.stream->receive().state, Io::State::kWouldBlock);
}

TEST(ReadingAhead, IsReadInPiecesToo) {
  EpollLoop loop;
  Connection connection(loop);
  Event go(loop);
  Heard heard;
  say_to_a_waiter(loop, connection, "abcdef", go, heard);
  std::array<char, 4> four{};
  EXPECT_EQ(connection.stream->read(four).bytes, 4u);
  EXPECT_TRUE(connection.stream->has_input());
  EXPECT_EQ(connection.stream->read(four).bytes, 2u);
  EXPECT_FALSE(connection.stream->has_input());
  EXPECT_EQ(connection.stream->read(four).state, Io::State::kWouldBlock);
}

TEST(ReadingAhead, IsForgottenWithItsStream) {
  EpollLoop loop;
  Connection connection(loop);
  Event go(loop);
  Heard heard;
  say_to_a_waiter(loop, connection, "too late", go, heard);
  EXPECT_EQ(loop.ahead().held(), 1u);
  loop.abandon();
  connection.stream.reset();
  EXPECT_EQ(loop.ahead().held(), 0u);
}

TEST(ReadingAhead, TheEndBehindItIsRead) {
  EpollLoop loop;
  Connection connection(loop);
  Event go(loop);
  go.set();
  Heard heard;
  say_to_a_waiter(loop, connection, "bye", go, heard);
  ::shutdown(connection.peer, SHUT_WR);
  loop.turn(loop.now());
  EXPECT_EQ(heard.text, "bye");
  loop.turn(loop.now());
  EXPECT_TRUE(connection.stream->has_input());
  EXPECT_EQ(connection.stream->receive().state, Io::State::kEnd);
}

// Reads to the end in every way that there is, and at times not at once.
Task<void> read_somehow(EpollLoop& loop, Stream& stream, Rng& rng, std::string& into, bool& ended) {
  std::array<char, 100> some{};
  for (;;) {
    const Instant deadline = rng.below(4) == 0 ? loop.now() : kNever;
    const WaitResult waited = co_await stream.readable(deadline);
    if (waited == WaitResult::kTimedOut) continue;
    while (rng.below(3) == 0) co_await loop.sleep_until(loop.now());
    Io::State state = Io::State::kMoved;
    if (rng.below(2) == 0) {
      const Arrived got = stream.receive();
      into += got.bytes;
      state = got.state;
    } else {
      const Io io = stream.read(std::span(some).first(1 + rng.below(some.size())));
      into.append(some.data(), io.bytes);
      state = io.state;
    }
    if (state == Io::State::kEnd) break;
    EXPECT_NE(state, Io::State::kFailed);
  }
  ended = true;
}

TEST(ReadingAhead, EveryByteArrivesOnceInItsOrderHoweverItIsSentAndRead) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    EpollLoop loop;
    Connection one(loop), other(loop);
    std::string sent, got, beside;
    bool ended = false, other_ended = false;
    loop.spawn(read_somehow(loop, *one.stream, rng, got, ended));
    loop.spawn(read_somehow(loop, *other.stream, rng, beside, other_ended));
    std::string beside_sent;
    for (int i = 0; i < 60; ++i) {
      // Now and then more than a reading takes.
      const std::size_t most = rng.below(8) == 0 ? 100'000 : 300;
      std::string piece(1 + rng.below(most), static_cast<char>('a' + i % 26));
      const ssize_t took = ::write(one.peer, piece.data(), piece.size());
      if (took > 0) sent += piece.substr(0, static_cast<std::size_t>(took));
      if (rng.below(2) == 0) {
        other.say("beside");
        beside_sent += "beside";
      }
      for (std::uint64_t turns = rng.below(3); turns > 0; --turns) loop.turn(loop.now());
    }
    ::shutdown(one.peer, SHUT_WR);
    ::shutdown(other.peer, SHUT_WR);
    for (int i = 0; i < 100'000 && !(ended && other_ended); ++i) loop.turn(loop.now());
    ASSERT_TRUE(ended && other_ended);
    EXPECT_TRUE(got == sent) << got.size() << " of " << sent.size();
    EXPECT_TRUE(beside == beside_sent);
    EXPECT_EQ(loop.ahead().held(), 0u);
  }
}

}  // namespace
}  // namespace drover::net
