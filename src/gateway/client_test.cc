#include "gateway/client.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>

#include "net/testing.h"

namespace drover::gateway {
namespace {

using net::testing::ManualLoop;
using net::testing::ManualStream;

wire::RequestHead head_of(wire::Method method, int minor_version = 1, bool keep_alive = true) {
  wire::RequestHead head;
  head.method = method;
  head.minor_version = minor_version;
  head.keep_alive = keep_alive;
  return head;
}

struct Ends {
  explicit Ends(const wire::RequestHead& head = head_of(wire::Method::kPost)) {
    auto made = std::make_unique<ManualStream>(loop);
    stream = made.get();
    client = std::make_unique<Client>(std::move(made));
    client->begin_request(head);
  }
  std::string send(std::string_view before, std::vector<std::string_view> pieces,
                   std::string_view after) {
    stream->written.clear();
    const Result<std::string> rest = client->send_now(before, pieces, after);
    EXPECT_TRUE(rest.ok());
    return rest.ok() ? stream->written + *rest : "failed";
  }
  std::string whole(Answer answer, std::string_view body) {
    net::testing::run_to_end(loop, send_whole(std::move(answer), body));
    return std::exchange(stream->written, {});
  }
  net::Task<void> send_whole(Answer answer, std::string_view body) {
    const Result<void> sent =
        co_await client->send_whole(std::move(answer), body, std::chrono::seconds(1), nullptr);
    EXPECT_TRUE(sent.ok());
  }

  ManualLoop loop;
  ManualStream* stream = nullptr;
  std::unique_ptr<Client> client;
};

TEST(ClientFraming, PiecesBecomeOneChunk) {
  Ends ends;
  EXPECT_EQ(ends.send("HEAD", {"ab", "cd"}, ""), "HEAD4\r\nabcd\r\n");
  EXPECT_EQ(ends.send("", {"0123456789abcdef"}, "0\r\n\r\n"),
            "10\r\n0123456789abcdef\r\n0\r\n\r\n");
}

TEST(ClientFraming, NothingIsFramedAsNothing) {
  Ends ends;
  EXPECT_EQ(ends.send("", {}, ""), "");
  EXPECT_EQ(ends.send("", {""}, ""), "") << "an empty chunk would end the body";
  EXPECT_EQ(ends.send("HEAD", {"", ""}, ""), "HEAD");
  EXPECT_EQ(ends.send("", {""}, ends.client->stream_end()), "0\r\n\r\n");
  std::string out;
  ends.client->frame(out, {}, "");
  const std::array<std::string_view, 1> empty = {""};
  ends.client->frame(out, empty, "");
  EXPECT_EQ(out, "");
}

TEST(ClientFraming, EmptyPiecesAmongOthersCostNothing) {
  Ends ends;
  EXPECT_EQ(ends.send("", {"", "a", "", "b"}, ""), "2\r\nab\r\n");
}

TEST(ClientFraming, AsManyPiecesAsAllowedGoOutInOneSend) {
  Ends ends;
  const std::vector<std::string_view> pieces(Client::kMaxPieces, "x");
  const std::string out = ends.send("H", pieces, ends.client->stream_end());
  EXPECT_EQ(out, "H1c\r\n" + std::string(Client::kMaxPieces, 'x') + "\r\n0\r\n\r\n");
}

TEST(ClientFraming, WhatTheKernelDoesNotTakeIsTheRest) {
  const std::string all = "HEAD4\r\nabcd\r\n0\r\n\r\n";
  for (std::size_t room = 0; room <= all.size(); ++room) {
    Ends ends;
    ends.stream->room = static_cast<long>(room);
    const std::vector<std::string_view> pieces = {"ab", "cd"};
    const Result<std::string> rest = ends.client->send_now("HEAD", pieces, "0\r\n\r\n");
    ASSERT_TRUE(rest.ok());
    EXPECT_EQ(ends.stream->written, all.substr(0, room));
    EXPECT_EQ(*rest, all.substr(room));
    EXPECT_EQ(ends.client->bytes_sent(), room);
  }
}

TEST(ClientFraming, AClosedConnectionIsAnError) {
  Ends ends;
  ends.stream->room = -1;
  const std::vector<std::string_view> pieces = {"ab"};
  const Result<std::string> rest = ends.client->send_now("", pieces, "");
  ASSERT_FALSE(rest.ok());
  EXPECT_EQ(rest.error().kind, ErrorKind::kClosed);
  EXPECT_EQ(rest.error().origin, Origin::kClient);
}

TEST(ClientFraming, FrameWritesWhatSendNowSends) {
  for (const int minor : {0, 1}) {
    Ends ends(head_of(wire::Method::kPost, minor));
    std::string out = "before";
    const std::array<std::string_view, 2> pieces = {"ab", "c"};
    ends.client->frame(out, pieces, "END");
    EXPECT_EQ(out, ends.send("before", {"ab", "c"}, "END"));
  }
}

TEST(ClientFraming, Http10StreamsBareAndEndsByClosing) {
  Ends ends(head_of(wire::Method::kPost, 0));
  const std::string head = ends.client->stream_head({200, "text/event-stream", "X-A: b\r\n"});
  EXPECT_EQ(head,
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-A: b\r\n"
            "Connection: close\r\n\r\n");
  EXPECT_EQ(ends.send("", {"ab", "c"}, ends.client->stream_end()), "abc");
  EXPECT_FALSE(ends.client->keep_alive());
}

TEST(ClientFraming, Http11StreamsInChunksAndStays) {
  Ends ends;
  const std::string head = ends.client->stream_head({200, "text/event-stream", ""});
  EXPECT_EQ(head,
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            "Transfer-Encoding: chunked\r\n\r\n");
  EXPECT_TRUE(ends.client->keep_alive());
}

TEST(ClientFraming, AWholeAnswerSaysItsLength) {
  Ends ends;
  EXPECT_EQ(ends.whole({404, "text/plain", ""}, "gone"),
            "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\ngone");
}

TEST(ClientFraming, HeadGetsTheLengthWithoutTheBody) {
  Ends ends(head_of(wire::Method::kHead));
  EXPECT_EQ(ends.whole({200, "", ""}, "body"), "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
}

TEST(ClientFraming, NoContentHasNoLength) {
  Ends ends(head_of(wire::Method::kOptions));
  EXPECT_EQ(ends.whole({204, "", ""}, ""), "HTTP/1.1 204 No Content\r\n\r\n");
}

TEST(ClientFraming, Http10IsToldThatTheConnectionStays) {
  Ends ends(head_of(wire::Method::kGet, 0, true));
  EXPECT_EQ(ends.whole({200, "", ""}, ""),
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
  ends.client->close_after_answer();
  EXPECT_EQ(ends.whole({200, "", ""}, ""),
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

TEST(ClientBuffer, ConsumedBytesLeaveTheView) {
  Ends ends;
  ends.client->unread("abcdef");
  ends.client->consume(2);
  EXPECT_EQ(ends.client->buffered(), "cdef");
  ends.client->consume(4);
  EXPECT_EQ(ends.client->buffered(), "");
}

TEST(ClientBuffer, WhatHasArrivedIsKeptBeforeTheLoopUsesItsMemoryAnew) {
  Ends ends;
  const auto arrives = [&ends](std::string_view text) {
    ends.stream->arriving = text;
    return ends.client->take_more(net::WaitResult::kReady).ok();
  };
  ASSERT_TRUE(arrives("abcdef"));
  ends.client->consume(2);
  EXPECT_EQ(ends.client->buffered(), "cdef");
  ends.client->keep();
  EXPECT_EQ(ends.client->buffered(), "cdef");
  ASSERT_TRUE(arrives("ghi"));
  EXPECT_EQ(ends.client->buffered(), "cdefghi");
  ends.client->consume(7);
  EXPECT_EQ(ends.client->buffered(), "");
  ASSERT_TRUE(arrives("xyz"));
  ends.client->consume(3);
  ends.client->release_buffer();
  EXPECT_EQ(ends.client->buffered(), "");
}

}  // namespace
}  // namespace drover::gateway
