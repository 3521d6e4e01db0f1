#include "app/effective.h"

#include <utility>

namespace drover::app {

Effective effective_config(const cli::ConfigOptions& options,
                           const config::Environment& environment) {
  Effective out;
  auto file = config::find_file(options.file, environment);
  if (!file) {
    out.result.errors.push_back({"", 0, 0, file.error().message});
    return out;
  }
  std::vector<config::Setting> settings = config::environment_settings(environment);
  for (const std::string& value : options.listen) settings.push_back({"--listen", "listen", value});
  if (options.admin) settings.push_back({"--admin", "admin", *options.admin});
  for (const std::string& value : options.backends) {
    settings.push_back({"--backend", "backends", value});
  }
  if (options.policy) settings.push_back({"--policy", "policy", *options.policy});

  if (*file) out.file = (*file)->name;
  out.result = config::assemble(*file, settings);
  out.text = *std::move(file);
  out.settings = std::move(settings);
  return out;
}

}  // namespace drover::app
