#pragma once
// How long a model shall stay loaded, as a request says it.

#include <optional>
#include <string_view>

#include "base/time.h"

namespace drover::wire {

// A number of seconds. Negative: for ever. Precondition: a JSON number.
Duration keep_alive_of_number(std::string_view text);
// A duration as Go writes them, such as "5m" or "1h30m"; negative: for ever. None: it is none, and
// Ollama refuses it.
std::optional<Duration> keep_alive_of_text(std::string_view text);

}  // namespace drover::wire
