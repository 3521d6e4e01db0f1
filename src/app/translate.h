#pragma once
// From configuration values to what each module is told. The modules do not know the configuration,
// the configuration does not know them.

#include <vector>

#include "config/config.h"
#include "core/fleet.h"
#include "core/settings.h"
#include "gateway/settings.h"
#include "jobs/jobs.h"
#include "keeper/messages.h"
#include "net/upstream_pool.h"
#include "probe/probe.h"

namespace drover::app {

core::Settings core_settings(const config::Config& config, std::uint64_t seed);
// The last backends are the supervised ones.
std::vector<core::BackendSpec> backend_specs(
    const config::Config& config, const std::vector<keeper::SupervisedInstance>& supervised);
gateway::Settings gateway_settings(const config::Config& config);
// Which instances share a model directory: those that drover runs do (the store "own"), configured
// ones do by their `store`, everybody else has one of its own.
// What the configuration says of models; a pin to an instance that there is not is left out.
std::vector<jobs::Wanted> wanted_models(const config::Config& config);
// Such pins, as "model on instance".
std::vector<std::string> vain_pins(const config::Config& config);

jobs::Settings jobs_settings(const config::Config& config,
                             const std::vector<keeper::SupervisedInstance>& supervised);
net::PoolLimits pool_limits(const config::Config& config);
probe::ProbeSettings probe_settings(const config::Config& config, std::uint64_t seed);
std::vector<probe::ProbeTarget> probe_targets(const config::Config& config);

}  // namespace drover::app
