#pragma once
// The keeper as a service, beside instances that systemd owns: what drover-keeper.service starts.

#include <string>
#include <vector>

#include "config/discover.h"

namespace drover::app {

inline constexpr const char* kKeeperVerb = "keeper";

// `arguments` are those after the verb: nothing, or --config FILE. Runs until told to end; the exit
// code. DROVER_INSTANCES and DROVER_KEEPER_SOCKET name other places than those of the services.
int run_keeper(const std::vector<std::string>& arguments, const config::Environment& environment);

}  // namespace drover::app
