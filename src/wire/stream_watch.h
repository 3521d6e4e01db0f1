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

}  // namespace drover::wire
