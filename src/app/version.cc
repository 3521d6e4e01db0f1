#include <fmt/format.h>

#include "app/verbs.h"
#include "drover_version.h"

namespace drover::app {

cli::Printed run_version(const cli::VersionCommand& command) {
  if (command.output == cli::Output::kJson) {
    return {cli::kDone, fmt::format("{{\"name\":\"drover\",\"version\":\"{}\"}}\n", kVersion), ""};
  }
  return {cli::kDone, fmt::format("drover {}\n", kVersion), ""};
}

}  // namespace drover::app
