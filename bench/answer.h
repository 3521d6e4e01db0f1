#pragma once
// Reads the answers of one connection as they come, and compares every byte with what the backend
// is known to have sent: a proxy that is fast because it drops something wins nothing.

#include <cstdint>
#include <string>
#include <string_view>

#include "histogram.h"
#include "texts.h"

namespace drover::bench {

class AnswerReader {
 public:
  enum class State : std::uint8_t { kReading, kWhole, kBad };

  void expect(Answer answer);
  // `latencies` gets the age of every record of a stream.
  State feed(std::string_view bytes, std::uint64_t now, Histogram& latencies);
  // What was wrong, once the state is kBad; a sentence with the bytes in question.
  const std::string& problem() const { return problem_; }
  std::uint32_t records() const { return records_; }  // of the stream under way
  bool wants_close() const { return close_; }         // the proxy will not keep the connection

 private:
  enum class Part : std::uint8_t { kHead, kPlain, kSize, kData, kDataEnd, kTrailer, kOver };

  bool take(std::string_view& bytes);
  bool take_head(std::string_view& bytes);
  bool take_line(std::string_view& bytes);
  bool take_size();
  bool take_data(std::string_view& bytes);
  bool take_decoded(std::string_view data);
  bool take_record(std::string_view line);
  bool whole();
  bool bad(std::string_view what, std::string_view bytes);

  Answer answer_ = Answer::kDocument;
  Part part_ = Part::kHead;
  bool close_ = false;
  bool ended_ = false;  // the last record of a stream was seen
  std::uint32_t records_ = 0;
  std::uint64_t left_ = 0;  // of the body, or of a chunk
  std::uint64_t now_ = 0;
  Histogram* latencies_ = nullptr;
  std::string line_;  // a head or a line of framing that is not whole
  std::string held_;  // a record, or a document, that is not whole
  std::string problem_;
};

}  // namespace drover::bench
