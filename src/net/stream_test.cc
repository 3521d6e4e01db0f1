#include "net/stream.h"

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>

#include "net/testing.h"

namespace drover::net {
namespace {

using namespace testing;

Task<void> note_write_all(Stream& stream, std::span<const std::string_view> parts, Duration stall,
                          Cancel* cancel, std::optional<Result<void>>& out) {
  Result<void> written = co_await write_all(stream, parts, stall, cancel);
  out.emplace(std::move(written));
}

TEST(Stream, IsSmall) { EXPECT_LE(sizeof(Stream), 128u); }

TEST(Stream, ReadableEndsByMarkDeadlineOrCancel) {
  ManualLoop loop;
  ManualStream stream(loop);
  Cancel cancel;
  std::optional<WaitResult> a, b, c;
  loop.spawn(note_readable(stream, loop.now() + 1s, &cancel, a));
  loop.settle();
  stream.mark_readable();
  loop.settle();
  EXPECT_EQ(a, WaitResult::kReady);
  stream.clear_readable();
  loop.spawn(note_readable(stream, loop.now() + 1s, &cancel, b));
  loop.settle();
  loop.advance(1s);
  EXPECT_EQ(b, WaitResult::kTimedOut);
  loop.spawn(note_readable(stream, loop.now() + 1s, &cancel, c));
  loop.settle();
  cancel.trigger(CancelReason::kRevoked);
  loop.settle();
  EXPECT_EQ(c, WaitResult::kCancelled);
}

TEST(Stream, BothSidesCanBeWaitedOnAtOnce) {
  ManualLoop loop;
  ManualStream stream(loop);
  stream.clear_writable();
  std::optional<WaitResult> reader, writer;
  loop.spawn(note_readable(stream, kNever, nullptr, reader));
  loop.spawn(note_writable(stream, kNever, nullptr, writer));
  loop.settle();
  stream.mark_writable();
  loop.settle();
  EXPECT_EQ(writer, WaitResult::kReady);
  EXPECT_FALSE(reader);
  stream.mark_hung_up();
  loop.settle();
  EXPECT_EQ(reader, WaitResult::kReady);
}

TEST(Stream, HangUpTriggersTheWatchingCancel) {
  ManualLoop loop;
  ManualStream stream(loop);
  Cancel gone;
  stream.watch_hangup(&gone);
  EXPECT_FALSE(gone.triggered());
  stream.mark_hung_up();
  EXPECT_EQ(gone.reason(), CancelReason::kClientGone);
  EXPECT_TRUE(stream.has_input());
}

TEST(Stream, WatchingAfterTheHangUpTriggersAtOnce) {
  ManualLoop loop;
  ManualStream stream(loop);
  stream.mark_hung_up();
  Cancel gone;
  stream.watch_hangup(&gone);
  EXPECT_TRUE(gone.triggered());
}

TEST(Stream, NullStopsWatching) {
  ManualLoop loop;
  ManualStream stream(loop);
  {
    Cancel gone;
    stream.watch_hangup(&gone);
    stream.watch_hangup(nullptr);
    stream.mark_hung_up();
    EXPECT_FALSE(gone.triggered());
  }
}

TEST(WriteAll, FinishesWithoutWaitingWhenEverythingFits) {
  ManualLoop loop;
  ManualStream stream(loop);
  const std::array<std::string_view, 3> parts = {"head", "", "body"};
  std::optional<Result<void>> out;
  loop.spawn(note_write_all(stream, parts, 1s, nullptr, out));
  loop.turn(loop.now());
  ASSERT_TRUE(out);
  EXPECT_TRUE(out->ok());
  EXPECT_EQ(stream.written, "headbody");
}

TEST(WriteAll, ContinuesInsideAPartWhereTheSendStopped) {
  ManualLoop loop;
  ManualStream stream(loop);
  stream.room = 6;
  const std::array<std::string_view, 2> parts = {"head", "body"};
  std::optional<Result<void>> out;
  loop.spawn(note_write_all(stream, parts, 1s, nullptr, out));
  loop.settle();
  EXPECT_FALSE(out);
  stream.room = 1;
  stream.mark_writable();
  loop.settle();
  stream.room = 9;
  stream.mark_writable();
  loop.settle();
  ASSERT_TRUE(out);
  EXPECT_TRUE(out->ok());
  EXPECT_EQ(stream.written, "headbody");
}

TEST(WriteAll, TakesMorePartsThanOneSendMay) {
  ManualLoop loop;
  ManualStream stream(loop);
  const std::vector<std::string_view> parts(Stream::kMaxParts * 3 + 1, "ab");
  std::optional<Result<void>> out;
  loop.spawn(note_write_all(stream, parts, 1s, nullptr, out));
  loop.settle();
  ASSERT_TRUE(out);
  EXPECT_EQ(stream.written.size(), 2 * parts.size());
}

TEST(WriteAll, TimesOutAStallButNotSlowProgress) {
  ManualLoop loop;
  ManualStream stream(loop);
  stream.room = 1;
  const std::array<std::string_view, 1> parts = {"abcdef"};
  std::optional<Result<void>> out;
  loop.spawn(note_write_all(stream, parts, 1s, nullptr, out));
  loop.settle();
  for (int i = 0; i < 3; ++i) {
    loop.advance(900ms);
    stream.room = 1;
    stream.mark_writable();
    loop.settle();
  }
  EXPECT_FALSE(out);
  loop.advance(1s);
  ASSERT_TRUE(out);
  EXPECT_EQ(out->error().kind, ErrorKind::kTimeout);
}

TEST(WriteAll, ReportsADeadConnectionAndACancel) {
  ManualLoop loop;
  ManualStream stream(loop);
  stream.room = -1;
  const std::array<std::string_view, 1> parts = {"abc"};
  std::optional<Result<void>> out;
  loop.spawn(note_write_all(stream, parts, 1s, nullptr, out));
  loop.settle();
  ASSERT_TRUE(out);
  EXPECT_EQ(out->error().kind, ErrorKind::kClosed);

  Cancel cancel;
  cancel.trigger(CancelReason::kShutdown);
  stream.room = 100;
  std::optional<Result<void>> cancelled;
  loop.spawn(note_write_all(stream, parts, 1s, &cancel, cancelled));
  loop.settle();
  ASSERT_TRUE(cancelled);
  EXPECT_EQ(cancelled->error().kind, ErrorKind::kCancelled);
  EXPECT_EQ(stream.written, "") << "a triggered cancel wins over readiness";
}

}  // namespace
}  // namespace drover::net
