#pragma once
// What an answer that is one JSON document (stream: false) says about itself: StreamWatch's
// questions, asked once.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/ask.h"

namespace drover::wire {

struct DocumentFacts {
  bool valid = false;  // one JSON document
  // A generation that was cut short: native "done": false, a choice whose finish_reason is null, a
  // message whose stop_reason is null, a response that is still in_progress.
  bool truncated = false;
  bool has_error = false;
  std::string error;  // text of a native, OpenAI or Anthropic error, at most 200 bytes
  Usage usage;
};

// Keeps the memory that reading takes, some twenty times kShort, for the next document.
class DocumentReader {
 public:
  // Up to this many bytes a document is read at once, whole; a longer one in one pass that keeps
  // nothing, at several times the cost for each byte.
  static constexpr std::size_t kShort = 16 * 1024;

  DocumentReader();
  ~DocumentReader();
  DocumentFacts read(std::string_view body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace drover::wire
