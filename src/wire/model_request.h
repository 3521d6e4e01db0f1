#pragma once
// What a request that manages models says, as far as drover has to know: which models, whether the
// answer streams, and whether a generation is none at all but the order to unload.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/json_scanner.h"

namespace drover::wire {

// Of /api/pull, push, create, copy and delete; absent texts are empty. Keys
// are found in any case, as Ollama finds them.
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

// Finds the text behind the top-level "model", or behind "name" where there is none or it is empty,
// in a body that is fed in pieces.
class ModelValue {
 public:
  void feed(std::string_view piece);
  // Where it stands, quotes included; length 0: nowhere.
  struct Place {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
  };
  Place place() const { return model_.length != 0 ? model_ : name_; }

 private:
  JsonScanner scanner_{{.report_depth = 1, .max_text = 64}};
  std::string key_;
  Place model_;
  Place name_;
};

// `body`, of /api/generate or /api/chat, has no prompt and no message, and a keep_alive of zero in
// any spelling (0, "0", "0s"): it takes the model out of memory. This is `ollama stop`.
bool asks_to_unload(std::string_view body);

}  // namespace drover::wire
