#pragma once
// Where things are on this machine: our own program, the ollama program, and the directory of what
// outlives a restart.

#include <optional>
#include <string>

#include "base/result.h"
#include "config/config.h"
#include "config/discover.h"

namespace drover::app {

// The running program, even after its file was replaced by a newer one. Errors: kSystem.
Result<std::string> own_program();

// Errors (kConfig) with the remedy when there is none.
Result<std::string> find_ollama(const config::OllamaSettings& settings,
                                const config::Environment& environment);

// $STATE_DIRECTORY, /var/lib/drover for root, $XDG_STATE_HOME/drover, ~/.local/state/drover.
std::string state_dir(const config::Config& config, const config::Environment& environment);

// Its directory of logs; the file of an instance is NAME.log.
std::string log_dir(const std::string& state_dir);

// Its directory of what outlives a restart.
std::string store_dir(const std::string& state_dir);

// Makes the directory and those above it. Errors: kSystem with path and reason.
Result<void> make_directory(const std::string& path);

}  // namespace drover::app
