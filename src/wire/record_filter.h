#pragma once
// Tells the few records of a stream that say something about the stream from the many that carry a
// token, without parsing. It may call a dull record interesting; never the other way round, so
// whether a record is read whole or in pieces (pieces are always parsed) makes no difference.

#include <cstdint>
#include <string_view>

#include "base/ask.h"

namespace drover::wire {

// Whether a "type" in the record counts: it stands in for the name of an event that has none.
enum class TypeField : std::uint8_t { kCounts, kIgnored };

bool may_matter(StreamShape shape, TypeField type, std::string_view record);
// The same for the name of an event.
bool event_matters(StreamShape shape, std::string_view name);
bool event_is_terminal(StreamShape shape, std::string_view name);

}  // namespace drover::wire
