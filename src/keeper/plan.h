#pragma once
// From what was found and what is wanted to the list of instances to run. Pure: the same GPUs and
// settings give the same plan, so a table of cases tests it.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/gpu.h"
#include "base/result.h"
#include "config/config.h"
#include "keeper/model_store.h"

namespace drover::keeper {

struct InstancePlan {
  std::string name;
  std::uint16_t port = 0;
  std::vector<std::string> gpus;  // UUIDs; empty: the CPU
  bool spanning = false;
  // What it gets besides the keeper's own environment; the last of two equal names wins.
  std::vector<std::string> environment;
};

struct Plan {
  std::vector<InstancePlan> instances;
  std::uint32_t parallel = 1;
  std::uint32_t context_length = 4096;
  std::vector<std::string> notes;  // sentences for people: why so many slots, what was left out
};

struct PlanInput {
  const config::OllamaSettings& settings;
  const GpuReport& gpus;
  const ModelStore& store;
  std::vector<std::string> taken_names;  // of configured instances
  std::function<bool(std::uint16_t)> port_is_free;
};

// Errors (kConfig): a GPU that is named and not there, no free port.
Result<Plan> make_plan(const PlanInput& input);

}  // namespace drover::keeper
