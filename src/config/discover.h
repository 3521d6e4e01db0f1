#pragma once
// Which configuration file counts, and its text.

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "config/overlay.h"

namespace drover::config {

// A variable of the environment; nothing when it is unset or empty. A function, so that tests need
// no real environment.
using Environment = std::function<std::optional<std::string>(std::string_view name)>;
Environment process_environment();

// The file that was named (`flag`, else DROVER_CONFIG) must be there: otherwise an Error. Without a
// name the first that exists of $XDG_CONFIG_HOME/drover/drover.yaml (~/.config/… when that is
// unset) and /etc/drover/drover.yaml, else nothing: zero configuration.
Result<std::optional<FileText>> find_file(const std::optional<std::string>& flag,
                                          const Environment& environment);

// DROVER_LISTEN, DROVER_ADMIN, DROVER_POLICY, DROVER_BACKENDS as settings, as far as they are set.
std::vector<Setting> environment_settings(const Environment& environment);

}  // namespace drover::config
