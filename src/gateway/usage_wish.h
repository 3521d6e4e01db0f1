#pragma once
// Usage of OpenAI's streams. Ollama tells how many tokens there were only where the client asks for
// it, and a policy that learns needs to know. So drover asks in the client's place, and keeps the
// record that tells it to itself.

#include <string>
#include <string_view>

#include "wire/json_scan.h"

namespace drover::gateway {

// Adds to the edits what makes the request ask for usage. False: it does already, or says something
// there that the instance shall judge. `document`: where its brace is.
bool ask_for_usage(wire::RequestFacts& facts);

// Records without those that only tell usage. The last may lack its end; it stays. `inside`: the
// first is the rest of one that has gone before, so it stays, too.
std::string without_usage(std::string_view records, bool inside);

}  // namespace drover::gateway
