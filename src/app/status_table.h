#pragma once
// The body of /api/v1/status as tables for people: instances, their processes, GPUs.

#include <string>
#include <string_view>

#include "base/result.h"

namespace drover::app {

// Missing or null fields show as "-"; an Error only when the text is no JSON object with instances.
Result<std::string> status_table(std::string_view json);

}  // namespace drover::app
