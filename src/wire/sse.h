#pragma once
// Server-sent events, as far as an answer's end and errors need them: names and data, lines ended
// by
// \n or \r\n, cut at any byte. Data is not kept but handed to a RecordReader as it passes; a whole
// event that the filter finds dull is not even read.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/ask.h"
#include "wire/answer_record.h"
#include "wire/record_filter.h"

namespace drover::wire {

class SseReader {
 public:
  explicit SseReader(StreamShape shape) : shape_(shape) {}

  // Reads up to the end of the next event that has data, and takes what it read off `rest`. False
  // when the piece ended first. The accessors speak of that event until the next call.
  bool next(std::string_view& rest);

  // What the event is called: by its own line, else by the "type" of its data (in the dialects that
  // have one), else empty.
  std::string_view name() const;
  bool is_done_marker() const;       // data: [DONE]
  const RecordFacts* facts() const;  // null when the data is dull or not a JSON document
  bool at_boundary() const;          // no line and no event is half read

 private:
  enum class Line : std::uint8_t { kField, kData, kName, kOther };
  static constexpr std::size_t kMaxName = 64;
  static constexpr std::size_t kMaxHead = 16;  // of the data: enough for a padded [DONE]

  void begin_event();
  bool whole_line(std::string_view line, std::string_view following);
  void part(std::string_view bytes);
  void line_bytes(std::string_view bytes);
  bool field_byte(char c);
  bool end_line();
  void begin_data();
  void data(std::string_view bytes);
  void name_bytes(std::string_view bytes);
  bool is_dull(std::string_view data) const;
  TypeField type_field() const;

  StreamShape shape_;
  std::unique_ptr<RecordReader> record_;  // while the data of an event is read
  bool told_ = false;                     // next() returned true: the event is over
  bool head_over_ = false;                // more data than kMaxHead
  std::uint64_t data_lines_ = 0;
  std::string name_;
  std::string head_;

  // Of a line that came in pieces.
  bool in_line_ = false;
  bool skip_space_ = false;   // the one space after the colon
  bool held_return_ = false;  // a \r that may belong to the end of the line
  Line line_ = Line::kField;
  std::string field_;
};

}  // namespace drover::wire
