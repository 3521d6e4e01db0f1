#include "app/systemd_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

namespace drover::app {
namespace {

using keeper::OllamaUnit;
using keeper::SystemdInstance;
using keeper::SystemdLayout;
using keeper::Variable;

Error wrong(std::string message) {
  return {ErrorKind::kConfig, Origin::kSelf, Retry::kNever, std::move(message)};
}

// Variables of the old service that mean one server on one address with the GPUs that it saw. They
// are decided anew for each instance.
constexpr std::array<std::string_view, 8> kNotKept = {
    "OLLAMA_HOST",          "OLLAMA_MODELS", "CUDA_VISIBLE_DEVICES",    "CUDA_DEVICE_ORDER",
    "ROCR_VISIBLE_DEVICES", "OLLAMA_VULKAN", "GGML_VK_VISIBLE_DEVICES", "HOME"};

std::vector<Variable> kept_of(const OllamaUnit& service) {
  std::vector<Variable> kept;
  for (const Variable& variable : service.environment) {
    if (std::find(kNotKept.begin(), kNotKept.end(), variable.first) == kNotKept.end()) {
      kept.push_back(variable);
    }
  }
  return kept;
}

// The configuration has checked that there is a '='.
Variable variable_of(const std::string& text) {
  const std::size_t equals = std::min(text.find('='), text.size());
  return {text.substr(0, equals), text.substr(std::min(equals + 1, text.size()))};
}

// For every instance: what the old service had, then the configuration.
std::vector<Variable> shared_environment(const config::OllamaSettings& settings,
                                         const OllamaUnit& service) {
  std::vector<Variable> shared = kept_of(service);
  if (settings.parallel) {
    shared.emplace_back("OLLAMA_NUM_PARALLEL", std::to_string(*settings.parallel));
  }
  if (settings.context_length) {
    shared.emplace_back("OLLAMA_CONTEXT_LENGTH", std::to_string(*settings.context_length));
  }
  for (const std::string& text : settings.environment) shared.push_back(variable_of(text));
  return shared;
}

// A UUID or an index as configured. A GPU that is not there now may be there later: its UUID is
// taken as written, and its form tells the vendor.
Result<Gpu> find_gpu(const GpuReport& report, const std::string& text) {
  for (const Gpu& gpu : report.gpus) {
    if (gpu.uuid == text || std::to_string(gpu.index) == text) return gpu;
  }
  if (text.find('-') == std::string::npos) {
    return wrong(fmt::format("no GPU {} was found; write its UUID in ollama.instances", text));
  }
  Gpu gpu;
  gpu.uuid = text;
  // NVIDIA: GPU-8-4-4-4-12 hexadecimal digits, or MIG-…; AMD: GPU- and 16 of them.
  const bool amd = std::count(text.begin(), text.end(), '-') == 1 && !text.starts_with("MIG-");
  gpu.vendor = amd ? GpuVendor::kAmd : GpuVendor::kNvidia;
  return gpu;
}

class Plan {
 public:
  Plan(const config::OllamaSettings& settings, const MachineFacts& facts)
      : settings_(settings),
        facts_(facts),
        shared_(shared_environment(settings, facts.service)),
        next_port_(settings.first_port) {}

  Result<std::vector<SystemdInstance>> instances() {
    if (settings_.instances.empty()) {
      plan_found();
      return std::move(planned_);
    }
    for (const config::SupervisedInstance& wanted : settings_.instances) {
      if (Result<void> planned = plan(wanted); !planned) return planned.error();
    }
    return std::move(planned_);
  }

 private:
  void plan_found() {
    for (const Gpu& gpu : facts_.gpus.gpus) {
      if (gpu.condition == GpuCondition::kLost) continue;
      SystemdInstance& instance = add(fmt::format("gpu{}", planned_.size()), std::nullopt);
      instance.vendor = gpu.vendor;
      instance.gpus = {gpu.uuid};
    }
    if (planned_.empty()) add("cpu0", std::nullopt);
  }

  Result<void> plan(const config::SupervisedInstance& wanted) {
    const std::string kind = wanted.gpus.empty() ? "cpu" : "gpu";
    const std::string name =
        wanted.name.empty() ? fmt::format("{}{}", kind, planned_.size()) : wanted.name;
    SystemdInstance& instance = add(name, wanted.port);
    for (const std::string& text : wanted.gpus) {
      const Result<Gpu> gpu = find_gpu(facts_.gpus, text);
      if (!gpu) return gpu.error();
      instance.vendor = gpu->vendor;
      instance.gpus.push_back(gpu->uuid);
    }
    for (const std::string& text : wanted.environment) {
      instance.environment.push_back(variable_of(text));
    }
    return {};
  }

  SystemdInstance& add(std::string name, std::optional<std::uint16_t> port) {
    const auto number = port.value_or(static_cast<std::uint16_t>(next_port_));
    if (!port) ++next_port_;
    planned_.push_back({.name = std::move(name), .port = number, .environment = shared_});
    return planned_.back();
  }

  const config::OllamaSettings& settings_;
  const MachineFacts& facts_;
  std::vector<Variable> shared_;
  std::uint32_t next_port_;
  std::vector<SystemdInstance> planned_;
};

// As ListenStream= wants it: literals only.
std::string listen_stream(config::HostPort address) {
  if (address.host == "localhost") address.host = "127.0.0.1";
  return address.to_string();
}

Result<std::string> find_program(const config::OllamaSettings& settings,
                                 const MachineFacts& facts) {
  if (settings.program) return *settings.program;
  if (!facts.service.program.empty()) return facts.service.program;
  for (const char* path : {"/usr/local/bin/ollama", "/usr/bin/ollama", "/opt/ollama/bin/ollama"}) {
    if (facts.can_execute(path)) return std::string(path);
  }
  return wrong(
      "no ollama program in /usr/local/bin or /usr/bin; install Ollama, or name the "
      "program in ollama.program");
}

Result<void> choose_user(SystemdLayout& layout, const MachineFacts& facts) {
  const OllamaUnit& service = facts.service;
  if (facts.user) {
    layout.user = layout.group = *facts.user;
  } else if (service.found) {
    layout.user = service.user.empty() ? "root" : service.user;
    layout.group = service.group.empty() ? layout.user : service.group;
  }
  const std::optional<std::string> home = facts.home_of(layout.user);
  if (!home) {
    return wrong(
        fmt::format("there is no user '{}' to run the instances as; name the owner of "
                    "your models with --user",
                    layout.user));
  }
  layout.user_home = service.variable("HOME").value_or(*home);
  return {};
}

}  // namespace

Result<SystemdLayout> systemd_layout(const config::Config& config,
                                     const std::optional<std::string>& config_file,
                                     const MachineFacts& facts) {
  SystemdLayout layout;
  layout.drover = facts.drover;
  layout.config = config_file.value_or("");
  layout.drain = config.timeouts.drain;
  layout.state_dir = config.state_dir.value_or("");
  if (Result<void> chosen = choose_user(layout, facts); !chosen) return chosen.error();
  Result<std::string> program = find_program(config.ollama, facts);
  if (!program) return program.error();
  layout.ollama = *std::move(program);
  layout.model_store =
      config.ollama.models.value_or(facts.service.variable("OLLAMA_MODELS").value_or(""));
  layout.environment_file = facts.service.environment_file;

  layout.client.clear();
  for (const config::HostPort& address : config.listen) {
    layout.client.push_back(listen_stream(address));
  }
  layout.admin = listen_stream(config.admin);
  Result<std::vector<SystemdInstance>> instances = Plan(config.ollama, facts).instances();
  if (!instances) return instances.error();
  layout.instances = *std::move(instances);
  return layout;
}

}  // namespace drover::app
