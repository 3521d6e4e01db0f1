#pragma once
// Private to the two readers of request bodies: how they tell of a load-time option.

#include "wire/json_scan.h"
#include "wire/request_keys.h"

namespace drover::wire {

// `text`, a number or a truth value, stands behind `name` at `offset`. A num_ctx that is no context
// is an option like others: Ollama acts on it in its own way.
inline void note_option(RequestFacts& facts, std::string_view name, std::string_view text,
                        std::uint64_t offset) {
  const OptionPlaces::Place place{offset, text.size()};
  const bool number = text != "true" && text != "false";
  if (name == kNumCtx && number) facts.num_ctx = context_of(text);
  if (name == kNumCtx && facts.num_ctx) {
    facts.places.num_ctx = place;
    return;
  }
  facts.places.others.push_back(place);
  facts.other_runner_options = with_option(facts.other_runner_options, name, text);
}

}  // namespace drover::wire
