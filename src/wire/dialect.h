#pragma once
// How an error looks in each dialect: as a whole body, and as a record in a running stream.

#include <string>
#include <string_view>

#include "base/ask.h"

namespace drover::wire {

// Native {"error":"…"}; OpenAI {"error":{message,type,param,code}}; Anthropic
// {"type":"error","error":{type,message},"request_id":…}. `type` follows the status as in Ollama's
// own middleware (400 invalid_request_error, 404 not_found_error, 429 rate limit, 503 overloaded
// for Anthropic, api_error otherwise). Text is escaped.
std::string error_body(Dialect dialect, int status, std::string_view message,
                       std::string_view request_id);

// A record that makes every official client raise, framed for the stream: an NDJSON line, an SSE
// data event, or an Anthropic `event: error`. Never a terminal record.
std::string error_record(StreamShape shape, std::string_view message, std::string_view request_id);

// JSON string literal with quotes; invalid UTF-8 is replaced.
std::string json_quote(std::string_view text);

}  // namespace drover::wire
