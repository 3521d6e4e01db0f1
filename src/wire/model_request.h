#pragma once
// What a request that manages models says, as far as drover has to know: which models, whether the
// answer streams, and whether a generation is none at all but the order to unload.

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace drover::wire {

// Of /api/pull, push, create, copy and delete; absent texts are empty. Of a key that is given twice
// the last one counts, as in Ollama.
struct ModelRequest {
  std::string model;        // "model", or "name"
  std::string from;         // create: the model that it is made from
  std::string source;       // copy
  std::string destination;  // copy
  bool stream = true;
  bool insecure = false;  // pull and push: a registry without a certificate
};

// `body` is JSON that RequestInspector has let pass. Errors (kMalformed): a text that is none, or
// longer than a name can be.
Result<ModelRequest> read_model_request(std::string_view body);

// `body`, of /api/generate or /api/chat, has no prompt and no message, and a keep_alive of zero in
// any spelling (0, "0", "0s"): it takes the model out of memory. This is `ollama stop`.
bool asks_to_unload(std::string_view body);

}  // namespace drover::wire
