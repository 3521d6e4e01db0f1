#pragma once
// Watches the decoded bytes of an answer go by: was there a terminal record, an error record, what
// did the final record say? In constant memory, records of any size, cut at any byte. A stream
// that ends without its terminal record is a failed generation however healthy HTTP looks.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/ask.h"

namespace drover::wire {

class StreamWatch {
 public:
  explicit StreamWatch(StreamShape shape);
  ~StreamWatch();
  StreamWatch(StreamWatch&&) noexcept;
  StreamWatch& operator=(StreamWatch&&) noexcept;

  void feed(std::string_view decoded);

  std::uint64_t records() const;     // complete records so far (lines, or SSE events with data)
  bool at_boundary() const;          // no record is half read
  bool terminal() const;             // the terminal record was complete
  bool failed() const;               // an error record was complete
  const std::string& error() const;  // its text, at most 200 bytes, control bytes escaped
  Usage usage() const;               // from the final record(s); zero what was not said

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The same questions for an answer that is one JSON document (stream: false).
struct DocumentFacts {
  bool valid = false;  // one JSON document
  // A generation that was cut short: native "done": false, a choice whose finish_reason is null, a
  // message whose stop_reason is null, a response that is still in_progress.
  bool truncated = false;
  bool has_error = false;
  std::string error;  // text of a native, OpenAI or Anthropic error, at most 200 bytes
  Usage usage;
};
DocumentFacts read_document(std::string_view body);

}  // namespace drover::wire
