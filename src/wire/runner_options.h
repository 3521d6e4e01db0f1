#pragma once
// Private to the two readers of request bodies: how they tell of a load-time option.

#include "wire/json_scan.h"
#include "wire/request_keys.h"

namespace drover::wire {

// `text` stands behind num_ctx at `offset`; empty: neither a number nor null, which the instance
// refuses. To Ollama null is as if it were not there.
inline void note_context(RequestFacts& facts, std::string_view text, std::uint64_t offset) {
  facts.places.num_ctx_is_wrong = text.empty();
  if (text.empty()) return;
  facts.places.num_ctx = {offset, text.size()};
  if (text != "null") facts.num_ctx = context_of(text);
}

// `text`, a number or a truth value, stands behind `name`, another option, at `offset`.
inline void note_option(RequestFacts& facts, std::string_view name, std::string_view text,
                        std::uint64_t offset) {
  facts.places.others.push_back({offset, text.size()});
  facts.other_runner_options = with_option(facts.other_runner_options, name, text);
}

}  // namespace drover::wire
