#include "gateway/stream_copy.h"

#include <gtest/gtest.h>

#include <memory>

#include "net/testing.h"

namespace drover::gateway {
namespace {

using net::testing::ManualLoop;
using net::testing::ManualStream;

constexpr std::size_t kHold = 64 * 1024;

// A stream as an instance writes it: records, the last one terminal.
struct Recorded {
  std::string_view path;
  std::vector<std::string> records;
  std::string error_record;
};

const std::vector<Recorded>& recorded() {
  static const std::vector<Recorded> all = {
      {"/api/chat",
       {"{\"model\":\"m\",\"message\":{\"content\":\"a\\n\"},\"done\":false}\n",
        "{\"model\":\"m\",\"message\":{\"content\":\" {\\\"b\\\"\"},\"done\":false}\n",
        "{\"model\":\"m\",\"message\":{\"content\":\"\"},\"done\":true,\"eval_count\":2}\n"},
       "{\"error\":\"an error was encountered\"}\n"},
      {"/v1/chat/completions",
       {"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n", "data: [DONE]\n\n"},
       "data: {\"error\":{\"message\":\"broken\",\"type\":\"api_error\"}}\n\n"},
      {"/v1/messages",
       {"event: message_start\ndata: {\"type\":\"message_start\"}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\"}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"},
       "event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"broken\"}}\n\n"},
      {"/v1/responses",
       {"event: response.created\ndata: {\"type\":\"response.created\"}\n\n",
        "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\"}\n\n",
        "event: response.completed\ndata: {\"type\":\"response.completed\"}\n\n"},
       "event: error\ndata: {\"type\":\"error\",\"message\":\"broken\"}\n\n"},
  };
  return all;
}

std::string joined(const std::vector<std::string>& records, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += records[i];
  return text;
}

std::string chunk(std::string_view data) {
  return std::string(wire::ChunkHead(data.size()).view()) + std::string(data) + "\r\n";
}

std::string chunked(const std::vector<std::string>& records) {
  std::string text;
  for (const std::string& record : records) text += chunk(record);
  return text + "0\r\n\r\n";
}

class Copying {
 public:
  explicit Copying(std::string_view path, std::size_t hold = kHold,
                   wire::Framing framing = wire::Framing::kChunked)
      : exchange_(limits_, loop_.now()) {
    wire::RequestHead head;
    head.method = wire::Method::kPost;
    head.path = path;
    exchange_.route = match_route(head)->route;
    auto made = std::make_unique<ManualStream>(loop_);
    stream = made.get();
    stream->room = 1L << 30;
    client_ = std::make_unique<Client>(std::move(made));
    client_->begin_request(head);
    wire::ResponseHead answer;
    answer.framing = framing;
    copy_ = std::make_unique<StreamCopy>(*client_, pending, exchange_.route->shape, answer.framing,
                                         answer.content_length, hold);
  }
  StreamCopy& copy() { return *copy_; }
  std::string pending;
  Result<void> take(std::string_view input) {
    return copy_->take(input, [this] { return count_head(); });
  }
  Result<void> send_last() {
    return copy_->send_last([this] { return count_head(); });
  }
  // Without the head and the framing.
  std::string content() const {
    const std::size_t head = stream->written.find("\r\n\r\n");
    if (head == std::string::npos) return {};
    std::string_view rest = std::string_view(stream->written).substr(head + 4);
    wire::BodyDecoder decoder(wire::Framing::kChunked, 0, Origin::kInstance);
    std::string text;
    while (!rest.empty() && !decoder.done()) {
      const auto step = decoder.next(rest);
      EXPECT_TRUE(step.ok());
      if (!step.ok()) break;
      text += step->data;
      rest.remove_prefix(step->consumed);
    }
    EXPECT_TRUE(rest.empty()) << "something follows the end";
    return text;
  }
  bool ended() const { return stream->written.ends_with("\r\n0\r\n\r\n"); }
  int heads() const { return heads_; }

  ManualStream* stream = nullptr;

 private:
  Answer count_head() {
    ++heads_;
    return {200, "application/x-ndjson", {}};
  }
  ManualLoop loop_;
  Limits limits_;
  Exchange exchange_;
  std::unique_ptr<Client> client_;
  std::unique_ptr<StreamCopy> copy_;
  int heads_ = 0;
};

TEST(StreamCopy, EveryWayToCutAStreamGivesTheSameBytes) {
  for (const Recorded& each : recorded()) {
    const std::string input = chunked(each.records);
    const std::string whole = joined(each.records, each.records.size());
    for (std::size_t cut = 0; cut <= input.size(); ++cut) {
      Copying copying(each.path);
      ASSERT_TRUE(copying.take(std::string_view(input).substr(0, cut)).ok());
      ASSERT_TRUE(copying.take(std::string_view(input).substr(cut)).ok());
      ASSERT_EQ(copying.content(), whole) << each.path << " cut at " << cut;
      EXPECT_TRUE(copying.ended());
      EXPECT_TRUE(copying.copy().finished());
      EXPECT_TRUE(copying.copy().terminal());
      EXPECT_FALSE(copying.copy().failed());
      EXPECT_EQ(copying.heads(), 1);
    }
  }
}

TEST(StreamCopy, ByteForByteIsNoDifferent) {
  for (const Recorded& each : recorded()) {
    Copying copying(each.path);
    for (const char c : chunked(each.records)) {
      ASSERT_TRUE(copying.take(std::string_view(&c, 1)).ok());
    }
    EXPECT_EQ(copying.content(), joined(each.records, each.records.size()));
    EXPECT_TRUE(copying.ended());
  }
}

TEST(StreamCopy, HalfARecordIsHeldBack) {
  for (const Recorded& each : recorded()) {
    const std::string body = joined(each.records, each.records.size());
    for (std::size_t cut = 1; cut < body.size(); ++cut) {
      Copying copying(each.path);
      ASSERT_TRUE(copying.take(chunk(body.substr(0, cut))).ok());
      const std::string content = copying.content();
      // Whole records only, and none that is whole is missing.
      std::size_t records = 0;
      while (records < each.records.size() && joined(each.records, records + 1).size() <= cut) {
        ++records;
      }
      EXPECT_EQ(content, joined(each.records, records)) << each.path << " cut at " << cut;
      EXPECT_EQ(copying.copy().content_sent(), records > 0);
      EXPECT_FALSE(copying.copy().mid_record());
    }
  }
}

TEST(StreamCopy, AWholeEventIsNotHeldBackHoweverItsLinesEnd) {
  const std::string whole = "data: {\"a\":1}\n\n";
  for (const std::string_view second : {"data: 2\r\n\r\n", "data: 2\r\n\n", "data: 2\n\r\n"}) {
    Copying copying("/v1/chat/completions");
    ASSERT_TRUE(copying.take(chunk(whole + std::string(second) + "data: half")).ok());
    EXPECT_EQ(copying.content(), whole + std::string(second));
  }
}

TEST(StreamCopy, AnErrorRecordBeforeAnyContentStaysHidden) {
  for (const Recorded& each : recorded()) {
    const std::string input = chunk(each.error_record) + "0\r\n\r\n";
    for (std::size_t cut = 0; cut <= input.size(); ++cut) {
      Copying copying(each.path);
      ASSERT_TRUE(copying.take(std::string_view(input).substr(0, cut)).ok());
      ASSERT_TRUE(copying.take(std::string_view(input).substr(cut)).ok());
      ASSERT_TRUE(copying.send_last().ok());
      EXPECT_TRUE(copying.copy().failed()) << each.path;
      EXPECT_FALSE(copying.copy().content_sent());
      EXPECT_EQ(copying.stream->written, "") << each.path << " cut at " << cut;
      EXPECT_EQ(copying.heads(), 0);
    }
  }
}

TEST(StreamCopy, AnErrorRecordBehindContentReachesTheClient) {
  for (const Recorded& each : recorded()) {
    Copying copying(each.path);
    ASSERT_TRUE(copying.take(chunk(each.records[0])).ok());
    ASSERT_TRUE(copying.take(chunk(each.error_record) + "0\r\n\r\n").ok());
    EXPECT_TRUE(copying.copy().failed());
    EXPECT_EQ(copying.content(), each.records[0] + each.error_record);
    EXPECT_FALSE(copying.ended()) << "whoever breaks the stream off ends it";
  }
}

TEST(StreamCopy, ARecordLongerThanTheLimitIsPassedOnBeforeItIsWhole) {
  constexpr std::size_t kSmall = 100;
  for (const Recorded& each : recorded()) {
    Copying copying(each.path, kSmall);
    const bool lines = each.path == "/api/chat";
    const std::string begin = lines ? "{\"message\":{\"content\":\"" : "data: {\"delta\":\"";
    std::string sent = begin + std::string(kSmall - begin.size(), 'x');
    ASSERT_TRUE(copying.take(chunk(sent)).ok());
    EXPECT_EQ(copying.content(), "") << "at the limit it is held";
    ASSERT_TRUE(copying.take(chunk("y")).ok());
    sent += "y";
    EXPECT_EQ(copying.content(), sent);
    EXPECT_TRUE(copying.copy().mid_record());
    ASSERT_TRUE(copying.take(chunk(lines ? "\"}}\n" : "\"}\n\n")).ok());
    EXPECT_FALSE(copying.copy().mid_record());
  }
}

TEST(StreamCopy, AFinalRecordWithoutItsLineEndIsSent) {
  const std::string last = "{\"message\":{\"content\":\"\"},\"done\":true}";
  const std::string first = recorded()[0].records[0];
  for (const bool with_content : {false, true}) {
    const std::string content = (with_content ? first : "") + last;
    const std::string input = chunk(content) + "0\r\n\r\n";
    for (std::size_t cut = 0; cut <= input.size(); ++cut) {
      Copying copying("/api/chat");
      ASSERT_TRUE(copying.take(std::string_view(input).substr(0, cut)).ok());
      ASSERT_TRUE(copying.take(std::string_view(input).substr(cut)).ok());
      EXPECT_EQ(copying.content(), content) << cut;
      EXPECT_TRUE(copying.ended());
      ASSERT_TRUE(copying.send_last().ok());
      EXPECT_EQ(copying.content(), content);
    }
  }
}

TEST(StreamCopy, AFinalRecordWithoutItsLineEndIsSentWhenOnlyTheCloseEndsTheBody) {
  Copying copying("/api/chat", kHold, wire::Framing::kUntilClose);
  ASSERT_TRUE(copying.take("{\"done\":false}\n{\"done\":true}").ok());
  EXPECT_EQ(copying.content(), "{\"done\":false}\n");
  EXPECT_FALSE(copying.copy().finished());
  ASSERT_TRUE(copying.send_last().ok());
  EXPECT_EQ(copying.content(), "{\"done\":false}\n{\"done\":true}");
}

TEST(StreamCopy, AHalfRecordAtTheEndIsDropped) {
  Copying copying("/api/chat", kHold, wire::Framing::kUntilClose);
  ASSERT_TRUE(copying.take("{\"done\":false}\n{\"don").ok());
  ASSERT_TRUE(copying.send_last().ok());
  EXPECT_EQ(copying.content(), "{\"done\":false}\n");
  EXPECT_FALSE(copying.copy().terminal());
}

TEST(StreamCopy, BrokenFramingIsTheInstancesFault) {
  Copying copying("/api/chat");
  ASSERT_TRUE(copying.take(chunk("{\"done\":false}\n")).ok());
  const Result<void> took = copying.take("zz\r\n");
  ASSERT_FALSE(took.ok());
  EXPECT_EQ(took.error().origin, Origin::kInstance);
  EXPECT_EQ(copying.content(), "{\"done\":false}\n");
}

TEST(StreamCopy, BytesBehindTheBodySpoilTheConnection) {
  Copying copying("/api/chat");
  ASSERT_TRUE(copying.take(chunk("{\"done\":true}\n") + "0\r\n\r\nHTTP/1.1 200 OK\r\n").ok());
  EXPECT_TRUE(copying.copy().terminal());
  EXPECT_FALSE(copying.copy().finished());
  EXPECT_EQ(copying.content(), "{\"done\":true}\n");
}

TEST(StreamCopy, WhatTheClientDoesNotTakeIsKeptInOrder) {
  const Recorded& each = recorded()[0];
  const std::string input = chunked(each.records);
  Copying whole(each.path);
  ASSERT_TRUE(whole.take(input).ok());
  for (long room = 0; room < static_cast<long>(whole.stream->written.size()); room += 3) {
    Copying copying(each.path);
    copying.stream->room = room;
    ASSERT_TRUE(copying.take(input).ok());
    EXPECT_EQ(copying.stream->written + copying.pending, whole.stream->written);
  }
}

TEST(StreamCopy, ManyRecordsInOneReadAllGoOut) {
  std::vector<std::string> records(200, recorded()[0].records[0]);
  records.push_back(recorded()[0].records[2]);
  Copying copying("/api/chat");
  ASSERT_TRUE(copying.take(chunked(records)).ok());
  EXPECT_EQ(copying.content(), joined(records, records.size()));
  EXPECT_TRUE(copying.ended());
}

TEST(StreamCopy, AClosedClientIsItsOwnFault) {
  Copying copying("/api/chat");
  copying.stream->room = -1;
  const Result<void> took = copying.take(chunk("{\"done\":false}\n"));
  ASSERT_FALSE(took.ok());
  EXPECT_EQ(took.error().origin, Origin::kClient);
}

}  // namespace
}  // namespace drover::gateway
