#pragma once
// Decides at the start what drover runs itself: whether at all, which instances on which GPUs, and
// with whose models.

#include <memory>
#include <string>
#include <vector>

#include "base/gpu.h"
#include "base/result.h"
#include "config/config.h"
#include "config/discover.h"
#include "keeper/instance.h"
#include "keeper/messages.h"

namespace drover::app {

struct Supervision {
  std::vector<keeper::InstanceOptions> instances;
  std::vector<keeper::SupervisedInstance> told;  // the same, as the gateway knows them
  std::string said;                              // what was found, for people; lines
};

// Whether instances shall be run at all; `found` is how many are configured or were found running.
bool wants_supervision(const config::Config& config, std::size_t found);

// Errors (kConfig, kSystem): one sentence with the remedy.
Result<Supervision> plan_supervision(const config::Config& config, const GpuReport& gpus,
                                     const config::Environment& environment,
                                     const std::string& drover);

// core's restart policy, as the keeper asks for it.
std::unique_ptr<keeper::RestartRule> make_restart_rule();

// This process's environment without what belongs to drover alone.
std::vector<std::string> plain_environment();

}  // namespace drover::app
