#pragma once
// What one request wants, and what it cost: values that both the wire and the decisions speak.

#include <cstdint>
#include <optional>
#include <string>

#include "base/ids.h"
#include "base/model_name.h"
#include "base/time.h"

namespace drover {

// How a route answers and how its errors look.
enum class Dialect : std::uint8_t { kNative, kOpenAi, kAnthropic };

// What the terminal record of a stream looks like; each protects against a cut stream.
enum class StreamShape : std::uint8_t {
  kNone,       // one JSON document
  kNdjson,     // lines, the last with "done":true
  kOpenAiSse,  // events, the last `data: [DONE]`
  kResponses,  // events, the last response.completed | incomplete | failed
  kAnthropic,  // events, the last message_stop
};

// One inference or lookup that some instance has to carry out.
struct Ask {
  ModelName model;            // canonical
  std::string model_as_sent;  // for messages: a client recognises its own spelling
  Dialect dialect = Dialect::kNative;
  bool streaming = false;  // the answer was asked for as a stream
  // Load-time options, which are a loaded model's rather than a request's. Only native routes take
  // any: others leave these as they are.
  bool takes_runner_options = false;
  std::uint32_t other_runner_options = 0;  // a hash of those but num_ctx; 0: none is named
  std::optional<std::uint64_t> num_ctx;    // tokens; absent: the instance's default
  std::uint64_t body_bytes = 0;            // size of the request body as received
  TenantId tenant;                         // zero: all alike
  std::optional<BackendId> only;           // it may go nowhere else
};

// What a finished answer reported about itself. Zero means "not said".
struct Usage {
  std::uint64_t prompt_tokens = 0;
  std::uint64_t output_tokens = 0;
  Duration total{};
  Duration load{};
  Duration prompt_eval{};
  Duration eval{};
};

}  // namespace drover
