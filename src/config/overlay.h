#pragma once
// The file, and on top of it what the environment and the command line say. Settings are applied in
// the order given, so the caller lists the environment first and flags after it: later wins.

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "config/load.h"

namespace drover::config {

// One value from outside the file.
struct Setting {
  std::string source;  // as the operator wrote it, for messages: "--listen", "DROVER_POLICY"
  std::string key;     // a path of the schema: "listen", "backends", "limits.fields"
  std::string value;   // as in the file; lists are separated by commas, backends are URLs
};

struct FileText {
  std::string name;
  std::string text;
};

// A list from one source replaces what stood before; repeated from the same source (two times
// --backend) it grows. What concerns several keys (an instance that is drover's own address) is
// judged at the end, for the values that won.
LoadResult assemble(const std::optional<FileText>& file, std::span<const Setting> settings);

}  // namespace drover::config
