#pragma once
// What one JSON record of an answer says about the answer itself: a native line, the data of an
// event, or a whole document. Of the answer's text it keeps nothing.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/ask.h"
#include "wire/json_scanner.h"
#include "wire/plain_json.h"

namespace drover::wire {

struct RecordFacts {
  bool done = false;        // native "done": true
  bool done_false = false;  // native "done": false
  bool has_error = false;   // a top-level "error" that is neither null, false, zero nor empty
  std::string error;        // its text as printable_error() makes it
  std::string message;      // a top-level "message" that is a string, the same way
  std::string type;         // a top-level "type"
  Usage native;             // counts and durations at the top level
  Usage tokens;             // the two counts of a "usage" object
};

// Several records may each say a part; what a later one says counts.
void merge(Usage& usage, const Usage& said);

// What a record with an error says of it.
const std::string& error_text(const RecordFacts& facts);

// One top-level field of a record that lies whole. False: it is written in a way that only
// RecordReader reads, so it has to read the record.
bool read_plain_field(RecordFacts& facts, std::string_view name, const PlainValue& value);

// At most 200 bytes, whole characters, control bytes escaped: fit for a log line and an answer.
std::string printable_error(std::string_view text);

// Reads one record in pieces of any size. Keys count only in their plain spelling, which is how
// every server writes them; that lets the watch look for them without parsing.
class RecordReader {
 public:
  enum class Key : std::uint8_t;  // those that speak of the answer

  RecordReader();
  // Returns what follows the record's closing brace; after that, and after an error, reads no more.
  std::string_view feed(std::string_view piece);
  bool closed() const { return closed_; }
  const RecordFacts& facts() const { return facts_; }  // meaningful once closed

 private:
  static constexpr std::size_t kDepth = 3;  // response.usage.input_tokens

  void take(JsonScanner::Event event);
  void top_value(JsonScanner::Event event, Key key);
  void number(std::uint32_t depth);

  JsonScanner scanner_;
  RecordFacts facts_;
  std::array<Key, kDepth + 1> path_;  // the key being read in each open container
  bool bad_ = false;
  bool closed_ = false;
};

}  // namespace drover::wire
