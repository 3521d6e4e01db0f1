#include "sim/fleet.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "base/check.h"

namespace drover::sim {
namespace {

// decode: milliseconds for each gigabyte of weights, from published tokens a second of Q4_K_M files
// of 5.6 and 16.5 GB (4090: 137 and 47; A100: 123 and 46; H100: 190 and 74; GTX 1080: 28). RTX 3090
// and 4080 are scaled by bandwidth. prefill: 3,525 tokens a second of an 8B model on the RTX 3090;
// the others are scaled by computing power.
const std::array<GpuKind, 6> kKinds = {{{"gtx1080", 8, 6.4, 5'000},
                                        {"rtx4080", 16, 1.83, 48'000},
                                        {"rtx3090", 24, 1.40, 28'000},
                                        {"rtx4090", 24, 1.30, 70'000},
                                        {"a100-80gb", 80, 1.35, 60'000},
                                        {"h100-80gb", 80, 0.85, 110'000}}};

struct Family {
  const char* name;
  double parameters_b;
  double file_gb;
  double kv_mb_token;
};
// Sizes of Q4_K_M files; the cache at 16 bits. The first are the most popular: small and middling
// ones, as people use them.
constexpr std::array<Family, 12> kFamilies = {{{"chat-8b", 8.0, 4.9, 0.131},
                                               {"code-14b", 14.8, 9.0, 0.196},
                                               {"small-3b", 3.2, 2.0, 0.115},
                                               {"chat-27b", 27.2, 16.5, 0.186},
                                               {"chat-4b", 4.0, 2.5, 0.147},
                                               {"chat-7b", 7.6, 4.7, 0.057},
                                               {"tiny-1b", 1.2, 1.3, 0.033},
                                               {"code-7b", 7.6, 4.7, 0.057},
                                               {"chat-12b", 12.2, 8.1, 0.164},
                                               {"tools-8b", 8.2, 5.2, 0.147},
                                               {"large-70b", 70.6, 42.5, 0.328},
                                               {"reason-9b", 9.2, 5.6, 0.131}}};

constexpr double kBuffersGb = 0.4;
// At 32,000 tokens of depth an RTX 3090 reads at about half its speed.
constexpr double kDepthOfHalfSpeed = 24'000;

}  // namespace

GpuKind gpu_kind(const std::string& name) {
  const auto* found = std::ranges::find(kKinds, name, &GpuKind::name);
  DROVER_ASSERT(found != kKinds.end());
  return *found;
}

GpuKind gpu_of_memory(double gigabytes) {
  GpuKind nearest = *std::ranges::min_element(
      kKinds, {}, [&](const GpuKind& kind) { return std::abs(kind.memory_gb - gigabytes); });
  nearest.memory_gb = gigabytes;
  return nearest;
}

double Model::vram_gb() const {
  return file_gb + slots * num_ctx * kv_mb_token / 1024 + kBuffersGb;
}

Pace Fleet::pace(InstanceIndex instance, ModelIndex model) const {
  const GpuKind& gpu = gpus[instance];
  const Model& what = models[model];
  Pace pace;
  pace.token = what.file_gb * gpu.decode_ms_per_gb / 1000;
  pace.batch = batch;
  if (free_prefill) return {pace.token, batch, 0, 0, 0, 0};
  pace.prefill_base = prompt_s;
  pace.context = what.kv_mb_token / 1024 * gpu.decode_ms_per_gb / 1000;
  pace.prefill_token = what.parameters_b / gpu.prefill_rate;
  pace.prefill_depth = pace.prefill_token / kDepthOfHalfSpeed;
  return pace;
}

double Fleet::cache_tokens(ModelIndex model) const {
  const Model& what = models[model];
  return what.slots * what.num_ctx + ram_cache_gb * 1024 / what.kv_mb_token;
}

double Fleet::total_vram_gb() const {
  double sum = 0;
  for (const GpuKind& gpu : gpus) sum += gpu.memory_gb;
  return sum;
}

Fleet faster(Fleet fleet, double times) {
  for (GpuKind& gpu : fleet.gpus) {
    gpu.decode_ms_per_gb /= times;
    gpu.prefill_rate *= times;
  }
  fleet.disk_gb_s *= times;
  fleet.memory_gb_s *= times;
  for (double* each : {&fleet.init_s, &fleet.prompt_s, &fleet.unload_s, &fleet.keep_alive_s}) {
    *each /= times;
  }
  return fleet;
}

Fleet mixed_fleet(double oversubscription) {
  Fleet fleet;
  for (const char* kind : {"rtx4090", "rtx4090", "rtx3090", "rtx3090", "rtx4080", "a100-80gb"}) {
    fleet.gpus.push_back(gpu_kind(kind));
  }
  fleet.hosts = {0, 0, 1, 1, 1, 2};
  const double wanted = oversubscription * fleet.total_vram_gb();
  double sum = 0;
  for (std::size_t i = 0;; ++i) {
    const Family& family = kFamilies[i % kFamilies.size()];
    const std::size_t generation = i / kFamilies.size();
    Model model{.name = generation == 0 ? std::string(family.name)
                                        : fmt::format("{}-v{}", family.name, generation + 1),
                .parameters_b = family.parameters_b,
                .file_gb = family.file_gb,
                .kv_mb_token = family.kv_mb_token};
    // With four caches the 27B models would not fit into 24 GB.
    if (model.file_gb > 15 && model.file_gb < 24) model.slots = 2;
    sum += model.vram_gb();
    if (sum > wanted && i > 0) break;
    fleet.models.push_back(std::move(model));
  }
  return fleet;
}

}  // namespace drover::sim
