#pragma once
// What an instance says about its models: values that wire reads, core decides on and the gateway
// shows. Unknown JSON fields survive because each entry keeps the text it arrived in.

#include <cstdint>
#include <string>

#include "base/model_name.h"

namespace drover {

// One model of /api/tags.
struct InstalledModel {
  ModelName name;          // canonical
  std::string shown_name;  // as the instance writes it
  std::string digest;
  std::uint64_t bytes = 0;
  std::string modified_at;  // RFC 3339, as sent
  std::string json;         // the whole entry, as sent
};

// One model of /api/ps: loaded (never listed while it loads).
struct LoadedModel {
  ModelName name;
  std::string digest;
  std::uint64_t bytes = 0;
  std::uint64_t vram_bytes = 0;
  std::uint64_t context_length = 0;
  std::string json;  // the whole entry, as sent
};

}  // namespace drover
