#include "answer.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <vector>

namespace drover::bench {
namespace {

using State = AnswerReader::State;

constexpr std::uint32_t kRecords = 3;

std::string chunk(std::string_view data) {
  return fmt::format("{:x}\r\n{}\r\n", data.size(), data);
}

std::string record(std::uint32_t number) {
  std::string text(kRecordBytes, ' ');
  write_record(text.data(), {1000, number});
  return text;
}

const std::string kStreamHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const std::string kLastChunk = "0\r\n\r\n";

std::string whole_stream() {
  std::string text = kStreamHead;
  for (std::uint32_t i = 0; i < kRecords; ++i) text += chunk(record(i));
  return text + chunk(last_record(kRecords)) + kLastChunk;
}

std::string document_answer(std::string_view body) {
  return fmt::format("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}", body.size(), body);
}

struct Read {
  State state = State::kReading;
  Histogram latencies;
  AnswerReader reader;
};

Read read(Answer answer, const std::vector<std::string_view>& pieces) {
  Read read;
  read.reader.expect(answer);
  for (const std::string_view piece : pieces) {
    if (read.state == State::kReading) read.state = read.reader.feed(piece, 3000, read.latencies);
  }
  return read;
}

TEST(AnswerReader, AStreamIsWholeWhereverItIsCut) {
  const std::string text = whole_stream();
  for (std::size_t cut = 1; cut < text.size(); ++cut) {
    const std::string_view view = text;
    const Read seen = read(Answer::kStream, {view.substr(0, cut), view.substr(cut)});
    ASSERT_EQ(seen.state, State::kWhole) << cut << ' ' << seen.reader.problem();
    ASSERT_EQ(seen.reader.records(), kRecords);
    ASSERT_EQ(seen.latencies.count(), kRecords);
  }
}

TEST(AnswerReader, AStreamMayBeChunkedOtherwiseThanItWasSent) {
  std::string text = kStreamHead;
  const std::string body = record(0) + record(1) + last_record(2);
  for (std::size_t i = 0; i < body.size(); i += 50) text += chunk(body.substr(i, 50));
  EXPECT_EQ(read(Answer::kStream, {text + kLastChunk}).state, State::kWhole);
}

TEST(AnswerReader, ADocumentIsWholeWhereverItIsCut) {
  const std::string text = document_answer(document());
  for (std::size_t cut = 1; cut < text.size(); ++cut) {
    const std::string_view view = text;
    ASSERT_EQ(read(Answer::kDocument, {view.substr(0, cut), view.substr(cut)}).state, State::kWhole)
        << cut;
  }
}

TEST(AnswerReader, TheAgeOfARecordIsWhatPassedSinceItWasSent) {
  EXPECT_NEAR(read(Answer::kStream, {whole_stream()}).latencies.quantile(0.5), 2000, 10);
}

struct Wrong {
  const char* what;
  Answer answer;
  std::string text;
};

class WrongAnswer : public testing::TestWithParam<Wrong> {};

TEST_P(WrongAnswer, IsNoticed) {
  const Read seen = read(GetParam().answer, {GetParam().text});
  EXPECT_EQ(seen.state, State::kBad);
  EXPECT_FALSE(seen.reader.problem().empty());
}

std::string changed(std::string text, std::string_view from, std::string_view to) {
  return text.replace(text.find(from), from.size(), to);
}

INSTANTIATE_TEST_SUITE_P(
    All, WrongAnswer,
    testing::Values(
        Wrong{"Status", Answer::kDocument, changed(document_answer(document()), "200", "502")},
        Wrong{"NoFraming", Answer::kDocument, "HTTP/1.1 200 OK\r\n\r\n"},
        Wrong{"OtherDocument", Answer::kDocument, document_answer("{}")},
        Wrong{"ChangedDocument", Answer::kDocument,
              document_answer(changed(document(), "short", "Short"))},
        Wrong{"BytesBehind", Answer::kDocument, document_answer(document()) + "x"},
        Wrong{"NoLastRecord", Answer::kStream, kStreamHead + chunk(record(0)) + kLastChunk},
        Wrong{"MissingRecord", Answer::kStream, kStreamHead + chunk(record(0)) + chunk(record(2))},
        Wrong{"RecordTwice", Answer::kStream, kStreamHead + chunk(record(0)) + chunk(record(0))},
        Wrong{"ChangedRecord", Answer::kStream,
              changed(whole_stream(), "\"done\":false", "\"dOne\":false")},
        Wrong{"LastRecordMiscounts", Answer::kStream,
              kStreamHead + chunk(record(0)) + chunk(last_record(2))},
        Wrong{"RecordBehindLast", Answer::kStream,
              kStreamHead + chunk(last_record(0)) + chunk(record(0))},
        Wrong{"BadChunkSize", Answer::kStream, kStreamHead + "zz\r\n"},
        Wrong{"ChunkLongerThanItsSize", Answer::kStream, kStreamHead + "1\r\n{{\r\n"}),
    [](const testing::TestParamInfo<Wrong>& test) { return std::string(test.param.what); });

}  // namespace
}  // namespace drover::bench
