#pragma once
// What an instance's complete answer means for the fleet: served, busy, ill, or the client's own
// mistake. Texts of both generations of Ollama are known here and nowhere else.

#include <string>
#include <string_view>

#include "base/result.h"
#include "core/events.h"
#include "gateway/routes.h"
#include "wire/document.h"
#include "wire/http_head.h"

namespace drover::gateway {

struct Verdict {
  core::AttemptResult result = core::AttemptResult::kServed;
  bool retryable = false;  // another instance may do better
  std::string detail;      // one sentence when not served
};

// What an error text of an instance says about it. The death of a runner takes all of its requests
// at once, as the death of an instance does: none of them is to blame, and each may go elsewhere.
core::AttemptResult judge_error(std::string_view text);

// True when a Content-Type names this media type (lower case), whatever its case and parameters.
bool is_media_type(std::string_view content_type, std::string_view media_type);

// Whether an answer with this head can be one of Ollama's at all. Refused as the instance's fault,
// whatever the body may be: a content coding, since drover asked for none and what it cannot read
// it cannot vouch for; and a status under 400 other than 200 (a redirect, an empty answer), which
// comes from something that stands where the instance should.
Result<void> judge_answer_head(const wire::ResponseHead& head);

// `status` of a final answer and its whole body (empty when it was too long to hold).
Verdict judge(const Route& route, int status, std::string_view content_type,
              const wire::DocumentFacts& facts);

}  // namespace drover::gateway
