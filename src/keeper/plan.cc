#include "keeper/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace drover::keeper {
namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
constexpr std::uint32_t kPortsTried = 200;

// Ollama's own rule for the context when nothing sets it, by memory that an instance sees. Taken
// for the smallest GPU: a model with another context would be loaded anew wherever it moves.
std::uint32_t context_for(std::uint64_t memory) {
  if (memory >= 47 * kGiB) return 262144;
  if (memory >= 23 * kGiB) return 32768;
  return 4096;
}

// Keys and values of one token: 2 × layers × KV heads × head size × 2 bytes. A model of 8 B
// parameters at 4 bits (5 GB, 32 layers, 8 heads of 128) has 128 KiB; it grows with the model, but
// slower than its weights, so the share is bounded both ways.
std::uint64_t kv_bytes_per_token(std::uint64_t model_bytes) {
  constexpr std::uint64_t kPerToken = 128 * 1024;
  constexpr std::uint64_t kModel = 5'000'000'000;
  return std::clamp<std::uint64_t>(model_bytes / (kModel / kPerToken), 32 * 1024, 512 * 1024);
}

class Planner {
 public:
  explicit Planner(const PlanInput& input) : in_(input) {}

  Result<Plan> run() {
    choose_gpus();
    Result<void> listed = in_.settings.instances.empty() ? one_per_gpu() : as_configured();
    if (!listed) return std::move(listed).error();
    choose_memory();
    for (InstancePlan& each : plan_.instances) describe(each);
    return std::move(plan_);
  }

 private:
  static Error wrong(std::string message) {
    return {ErrorKind::kConfig, Origin::kSelf, Retry::kNever, std::move(message)};
  }

  // Which of the devices can Ollama use?
  void choose_gpus() {
    for (const Gpu& gpu : in_.gpus.gpus) {
      if (gpu.condition == GpuCondition::kLost || gpu.condition == GpuCondition::kFailed) {
        plan_.notes.push_back(
            fmt::format("GPU {} ({}) is left out: {}", gpu.index, gpu.name, gpu.detail));
      } else if (gpu.vendor == GpuVendor::kIntel) {
        plan_.notes.push_back(fmt::format(
            "GPU {} ({}) is left out: Ollama uses Intel GPUs through Vulkan only; run such an "
            "instance yourself and name it under backends",
            gpu.index, gpu.name));
      } else {
        usable_.push_back(&gpu);
      }
    }
  }

  Result<void> one_per_gpu() {
    for (std::size_t i = 0; i < usable_.size(); ++i) {
      Result<void> added = add(fmt::format("gpu{}", i), std::nullopt, {usable_[i]}, {});
      if (!added) return added;
    }
    if (usable_.empty()) {
      plan_.notes.emplace_back("no GPU was found: one instance runs on the CPU");
      return add("cpu", std::nullopt, {}, {});
    }
    return usable_.size() > 1 ? spanning() : Result<void>();
  }

  Result<void> as_configured() {
    std::vector<std::vector<std::string>> uuids;
    for (const config::SupervisedInstance& wanted : in_.settings.instances) {
      std::vector<const Gpu*> gpus;
      for (const std::string& name : wanted.gpus) {
        const Gpu* gpu = find(name);
        if (gpu == nullptr) {
          return wrong(
              fmt::format("ollama.instances names the GPU '{}', which is not here; 'drover "
                          "gpus' lists those that are",
                          name));
        }
        gpus.push_back(gpu);
      }
      std::string name = wanted.name;
      if (name.empty())
        name = fmt::format("{}{}", gpus.empty() ? "cpu" : "gpu", plan_.instances.size());
      Result<void> added = add(name, wanted.port, gpus, wanted.environment);
      if (!added) return added;
    }
    return usable_.size() > 1 && nobody_has_all() ? spanning() : Result<void>();
  }

  bool nobody_has_all() const {
    return std::ranges::none_of(plan_.instances, [this](const InstancePlan& each) {
      return each.gpus.size() >= usable_.size();
    });
  }

  // Stock Ollama spreads a model that is too large for one GPU over all of them; one instance per
  // GPU would put the rest of it on the CPU without a word.
  Result<void> spanning() {
    if (in_.settings.spanning == config::Spanning::kNever) return {};
    // ROCm and CUDA do not share a model: the vendor with more memory has it.
    std::vector<const Gpu*> best;
    for (const GpuVendor vendor : {GpuVendor::kNvidia, GpuVendor::kAmd}) {
      std::vector<const Gpu*> these;
      std::ranges::copy_if(usable_, std::back_inserter(these),
                           [vendor](const Gpu* gpu) { return gpu->vendor == vendor; });
      if (memory_of(these) > memory_of(best)) best = these;
    }
    if (best.size() < 2) return {};
    Result<void> added = add("all-gpus", std::nullopt, best, {"OLLAMA_SCHED_SPREAD=1"});
    if (added) plan_.instances.back().spanning = true;
    return added;
  }

  static std::uint64_t memory_of(const std::vector<const Gpu*>& gpus) {
    std::uint64_t sum = 0;
    for (const Gpu* gpu : gpus) sum += gpu->memory_total_bytes.value_or(0);
    return sum;
  }

  const Gpu* find(const std::string& name) const {
    std::uint32_t index = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
    const bool is_index = error == std::errc() && end == name.data() + name.size();
    const auto found = std::ranges::find_if(in_.gpus.gpus, [&](const Gpu& gpu) {
      return is_index ? gpu.index == index : gpu.uuid == name || gpu.pci == name;
    });
    return found == in_.gpus.gpus.end() ? nullptr : &*found;
  }

  Result<void> add(std::string name, std::optional<std::uint16_t> port,
                   const std::vector<const Gpu*>& gpus, std::vector<std::string> environment) {
    while (std::ranges::find(in_.taken_names, name) != in_.taken_names.end()) name += "-own";
    InstancePlan plan;
    plan.name = std::move(name);
    for (const Gpu* gpu : gpus) plan.gpus.push_back(gpu->uuid);
    plan.environment = std::move(environment);
    devices_.push_back(gpus);
    Result<std::uint16_t> chosen = port ? Result<std::uint16_t>(*port) : free_port();
    if (!chosen) return std::move(chosen).error();
    plan.port = *chosen;
    plan_.instances.push_back(std::move(plan));
    return {};
  }

  Result<std::uint16_t> free_port() {
    const auto first = static_cast<std::uint16_t>(in_.settings.first_port);
    for (std::uint16_t port = first; port < first + kPortsTried; ++port) {
      if (is_planned(port)) continue;
      if (in_.port_is_free(port)) return port;
      plan_.notes.push_back(fmt::format("port {} is in use; the next free one is taken", port));
    }
    return wrong(fmt::format("no port from {} to {} is free; choose others with ollama.first_port",
                             first, first + kPortsTried - 1));
  }

  bool is_planned(std::uint16_t port) const {
    return std::ranges::any_of(plan_.instances,
                               [port](const auto& each) { return each.port == port; }) ||
           std::ranges::any_of(in_.settings.instances,
                               [port](const auto& each) { return each.port == port; });
  }

  // Context and slots, equal on all instances, by the GPU with the least memory.
  void choose_memory() {
    std::optional<std::uint64_t> smallest;
    for (const Gpu* gpu : usable_) {
      const std::uint64_t total = gpu->memory_total_bytes.value_or(0);
      smallest = std::min(smallest.value_or(total), total);
    }
    plan_.context_length = in_.settings.context_length.value_or(context_for(smallest.value_or(0)));
    if (in_.settings.parallel) {
      plan_.parallel = *in_.settings.parallel;
      return;
    }
    const std::uint64_t model = in_.store.largest_bytes;
    const std::uint64_t kv = kv_bytes_per_token(model) * plan_.context_length;
    const std::uint64_t room = smallest.value_or(0);
    // A tenth of the weights and a GiB go to buffers of the runtime.
    const auto fits = [&](std::uint64_t slots) {
      return model + model / 10 + kGiB + slots * kv <= room;
    };
    plan_.parallel = fits(4) ? 4 : fits(2) ? 2 : 1;
    plan_.notes.push_back(fmt::format(
        "a loaded model answers {} {} at once: context {}, about {:.1f} GiB each beside the "
        "largest model ({:.1f} GiB) in {:.1f} GiB; ollama.parallel sets it",
        plan_.parallel, plan_.parallel == 1 ? "request" : "requests", plan_.context_length,
        static_cast<double>(kv) / kGiB, static_cast<double>(model) / kGiB,
        static_cast<double>(room) / kGiB));
  }

  // The order counts: what the user sets wins over our choices, not over the pinning.
  void describe(InstancePlan& plan) {
    const std::size_t number = static_cast<std::size_t>(&plan - plan_.instances.data());
    std::vector<std::string> all = {
        // Start-up pruning of one instance deletes what another is just pulling.
        "OLLAMA_NOPRUNE=1", fmt::format("OLLAMA_MODELS={}", in_.store.path),
        fmt::format("OLLAMA_NUM_PARALLEL={}", plan_.parallel),
        fmt::format("OLLAMA_CONTEXT_LENGTH={}", plan_.context_length), "OLLAMA_NO_CLOUD=1",
        // Vulkan does not obey the variables below: it would find the other instances' GPUs.
        "OLLAMA_VULKAN=0", "GGML_VK_VISIBLE_DEVICES=-1"};
    all.insert(all.end(), in_.settings.environment.begin(), in_.settings.environment.end());
    all.insert(all.end(), plan.environment.begin(), plan.environment.end());
    pin(devices_[number], all);
    all.push_back(fmt::format("OLLAMA_HOST=127.0.0.1:{}", plan.port));
    plan.environment = std::move(all);
  }

  // By UUID: the order of indices may change with every start of the driver.
  static void pin(const std::vector<const Gpu*>& gpus, std::vector<std::string>& environment) {
    std::string cuda;
    std::string rocm;
    for (const Gpu* gpu : gpus) {
      const bool nvidia = gpu->vendor == GpuVendor::kNvidia;
      std::string& list = nvidia ? cuda : rocm;
      if (!list.empty()) list += ',';
      list += nvidia || gpu->uuid.starts_with("GPU-") ? gpu->uuid : "GPU-" + gpu->uuid;
    }
    environment.emplace_back("CUDA_DEVICE_ORDER=PCI_BUS_ID");
    environment.push_back("ROCR_VISIBLE_DEVICES=" + (rocm.empty() ? "-1" : rocm));
    // ROCm reads numbers here as well, so a ROCm instance must not get -1.
    const std::string none = rocm.empty() ? "-1" : "GPU-none";
    environment.push_back("CUDA_VISIBLE_DEVICES=" + (cuda.empty() ? none : cuda));
  }

  const PlanInput& in_;
  std::vector<const Gpu*> usable_;
  std::vector<std::vector<const Gpu*>> devices_;  // in step with the plan's instances
  Plan plan_;
};

}  // namespace

Result<Plan> make_plan(const PlanInput& input) { return Planner(input).run(); }

}  // namespace drover::keeper
