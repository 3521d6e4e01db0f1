#pragma once
// Flags, environment, file and defaults, brought together in this order of precedence.

#include <optional>
#include <string>

#include "app/cli.h"
#include "config/discover.h"
#include "config/load.h"

namespace drover::app {

struct Effective {
  config::LoadResult result;
  std::optional<std::string> file;  // the configuration file that was read, if any
};

Effective effective_config(const cli::ConfigOptions& options,
                           const config::Environment& environment);

}  // namespace drover::app
