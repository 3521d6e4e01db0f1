#pragma once
// What an answer that is one JSON document (stream: false) says about itself: StreamWatch's
// questions, asked once.

#include <optional>
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

DocumentFacts read_document(std::string_view body);

// The two ways that it goes. The short one, for what is written as nearly all documents are; none:
// something about this one is rare, or wrong.
std::optional<DocumentFacts> read_plain_document(std::string_view body);
// And the one for everything.
DocumentFacts read_any_document(std::string_view body);

}  // namespace drover::wire
