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
  // What the result was assembled from, so that another process can assemble the same.
  std::optional<config::FileText> text;
  std::vector<config::Setting> settings;
};

Effective effective_config(const cli::ConfigOptions& options,
                           const config::Environment& environment);

}  // namespace drover::app
