#include "answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "head.h"

namespace drover::bench {
namespace {

// Enough of what came instead, in one printable line.
std::string excerpt(std::string_view bytes) {
  std::string out;
  for (const char c : bytes.substr(0, 160)) out += c >= ' ' && c < 127 ? c : '.';
  return out;
}

}  // namespace

void AnswerReader::expect(Answer answer) {
  answer_ = answer;
  part_ = Part::kHead;
  close_ = false;
  ended_ = false;
  records_ = 0;
  line_.clear();
  held_.clear();
}

AnswerReader::State AnswerReader::feed(std::string_view bytes, std::uint64_t now,
                                       Histogram& latencies) {
  now_ = now;
  latencies_ = &latencies;
  while (!bytes.empty() && part_ != Part::kOver) {
    if (!take(bytes)) return State::kBad;
  }
  if (!bytes.empty()) {
    bad("bytes behind the end of an answer", bytes);
    return State::kBad;
  }
  if (part_ != Part::kOver) return State::kReading;
  return whole() ? State::kWhole : State::kBad;
}

bool AnswerReader::take(std::string_view& bytes) {
  switch (part_) {
    case Part::kHead:
      return take_head(bytes);
    case Part::kPlain:
    case Part::kData:
      return take_data(bytes);
    case Part::kSize:
      return !take_line(bytes) || take_size();
    case Part::kDataEnd:
      if (!take_line(bytes)) return true;
      part_ = Part::kSize;
      return line_.empty() || bad("a chunk longer than its size", line_);
    case Part::kTrailer:
      if (!take_line(bytes)) return true;
      if (line_.empty()) part_ = Part::kOver;
      line_.clear();
      return true;
    case Part::kOver:
      break;
  }
  return true;
}

bool AnswerReader::take_head(std::string_view& bytes) {
  const std::size_t before = line_.size();
  line_.append(bytes);
  const std::size_t end = line_.find(kHeadEnd);
  if (end == std::string::npos) {
    bytes = {};
    return true;
  }
  bytes.remove_prefix(end + kHeadEnd.size() - before);
  line_.resize(end + kHeadEnd.size());
  const HeadFacts facts = read_head(line_);
  if (!facts.start.starts_with("HTTP/1.1 200 ")) return bad("not 200", line_ + std::string(bytes));
  close_ = facts.close;
  if (!facts.chunked && !facts.content_length) return bad("no framing", line_);
  left_ = facts.content_length.value_or(0);
  part_ = facts.chunked ? Part::kSize : Part::kPlain;
  line_.clear();
  return true;
}

// Moves bytes up to and with a line end into line_; true when line_ is whole, without its end.
bool AnswerReader::take_line(std::string_view& bytes) {
  const std::size_t end = bytes.find('\n');
  line_.append(bytes.substr(0, end == std::string_view::npos ? end : end + 1));
  bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
  if (end == std::string_view::npos) return false;
  line_.pop_back();
  if (line_.ends_with('\r')) line_.pop_back();
  return true;
}

bool AnswerReader::take_size() {
  const char* end = line_.data() + line_.size();
  const auto [rest, error] = std::from_chars(line_.data(), end, left_, 16);
  if (error != std::errc() || rest != end) return bad("not a chunk's size", line_);
  part_ = left_ == 0 ? Part::kTrailer : Part::kData;
  line_.clear();
  return true;
}

bool AnswerReader::take_data(std::string_view& bytes) {
  const std::string_view data = bytes.substr(0, left_);
  bytes.remove_prefix(data.size());
  left_ -= data.size();
  if (left_ == 0) part_ = part_ == Part::kPlain ? Part::kOver : Part::kDataEnd;
  return take_decoded(data);
}

bool AnswerReader::take_decoded(std::string_view data) {
  if (answer_ == Answer::kDocument) {
    held_.append(data);
    return true;
  }
  while (!data.empty()) {
    const std::size_t end = data.find('\n');
    const std::string_view piece = data.substr(0, end == std::string_view::npos ? end : end + 1);
    data.remove_prefix(piece.size());
    if (end == std::string_view::npos || !held_.empty()) held_.append(piece);
    if (end == std::string_view::npos) return true;
    if (!take_record(held_.empty() ? piece : std::string_view(held_))) return false;
    held_.clear();
  }
  return true;
}

bool AnswerReader::take_record(std::string_view line) {
  RecordFacts facts;
  if (ended_) return bad("a record behind the last", line);
  if (!read_record(line, facts)) {
    ended_ = line == last_record(records_);
    return ended_ || bad("not the record that was sent", line);
  }
  if (facts.number != records_) return bad("a record is missing", line);
  ++records_;
  latencies_->add(now_ - facts.sent_ns);
  return true;
}

bool AnswerReader::whole() {
  if (answer_ == Answer::kStream) return ended_ || bad("a stream without its last record", held_);
  return held_ == document() || bad("not the document that was sent", held_);
}

bool AnswerReader::bad(std::string_view what, std::string_view bytes) {
  problem_ = fmt::format("{}: {}", what, excerpt(bytes));
  return false;
}

}  // namespace drover::bench
