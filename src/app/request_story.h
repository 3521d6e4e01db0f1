#pragma once
// The body of /api/v1/requests/ID as a few lines for a person: what was asked, what became of it,
// where the time went, and why it went where it did.

#include <string>
#include <string_view>

#include "base/result.h"

namespace drover::app {

// An Error only when the text is no JSON object with an id.
Result<std::string> request_story(std::string_view json);

}  // namespace drover::app
