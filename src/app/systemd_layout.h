#pragma once
// From what is known about a machine to what its services shall be: the configuration, the GPUs and
// the ollama.service that is there, brought together into the plain layout that the keeper's
// systemd_units.h writes out.

#include <functional>
#include <optional>
#include <string>

#include "base/gpu.h"
#include "base/result.h"
#include "config/config.h"
#include "keeper/ollama_unit.h"
#include "keeper/systemd_units.h"

namespace drover::app {

// Where the list of GPUs comes from. One function, so that tests name GPUs that no machine has.
using GpuSource = std::function<GpuReport()>;

struct MachineFacts {
  GpuReport gpus;
  keeper::OllamaUnit service;       // as systemd describes it
  std::string drover;               // this program
  std::optional<std::string> user;  // of the instances, when the operator named one
  std::function<std::optional<std::string>(const std::string& user)> home_of;
  std::function<bool(const std::string& path)> can_execute;
};

// Without configured instances: one for each GPU, gpu0, gpu1, … on ports from ollama.first_port; on
// a machine without GPUs one that is not pinned. Error kConfig: the sentence says what to
// configure.
Result<keeper::SystemdLayout> systemd_layout(const config::Config& config,
                                             const std::optional<std::string>& config_file,
                                             const MachineFacts& facts);

}  // namespace drover::app
