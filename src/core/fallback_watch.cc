#include "core/fallback_watch.h"

#include <algorithm>

#include <fmt/format.h>

namespace drover::core {
namespace {

// Of models that were used here. A fleet has fewer; when they are more, the first by name goes.
constexpr std::size_t kMaxModels = 64;

// A look every 2 s. One look may fall into the moment in which a model moves.
constexpr std::uint32_t kLooks = 2;

// Four streams at once cost a stream two thirds of its speed at worst, a hot GPU another third;
// the CPU is ten to fifty times slower than a GPU, five times for small mixtures of experts. For
// each loaded model, because they share the GPU, and would share the CPU.
constexpr double kSlowFactor = 5;
constexpr std::uint32_t kSlowAnswers = 5;
constexpr std::size_t kEnough = 20;       // answers that make a norm
constexpr std::uint64_t kMinTokens = 32;  // shorter ones measure the overhead

// If a restart did not help, the next one would not either, and slow answers are better than none.
constexpr Duration kPause = std::chrono::minutes(10);

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

FallbackWatch::Known& FallbackWatch::known(const ModelName& model) {
  const auto found = models_.find(model);
  if (found != models_.end()) return found->second;
  if (models_.size() == kMaxModels) models_.erase(models_.begin());
  return models_[model];
}

std::optional<Fallback> FallbackWatch::looked(const Residency& residency,
                                              const Surroundings& around, Instant now) {
  std::optional<Fallback> fallback;
  for (const LoadedModel& entry : residency) {
    Known& before = known(entry.name);
    if (entry.vram_bytes > 0 && entry.vram_bytes >= entry.bytes) {
      before.whole_at_context = std::max(before.whole_at_context.value_or(0), entry.context_length);
      before.looks_in_row = 0;
      continue;
    }
    const bool only_one = residency.size() == 1;
    before.looks_in_row = on_cpu(entry, before, only_one, around) ? before.looks_in_row + 1 : 0;
    if (before.looks_in_row < kLooks || fallback) continue;
    fallback = tell(entry.name,
                    fmt::format("model '{}' has {} of {} MiB on the GPU", entry.name.text(),
                                entry.vram_bytes >> 20, entry.bytes >> 20),
                    now);
  }
  return fallback;
}

bool FallbackWatch::on_cpu(const LoadedModel& entry, const Known& known, bool only_one,
                           const Surroundings& around) const {
  if (known.whole_at_context && entry.context_length <= *known.whole_at_context) {
    return entry.vram_bytes == 0 || (only_one && around.alone);
  }
  const bool whole_elsewhere =
      std::ranges::find(around.on_gpu_elsewhere, entry.name) != around.on_gpu_elsewhere.end();
  return has_gpus_ && entry.vram_bytes == 0 && whole_elsewhere;
}

std::optional<Fallback> FallbackWatch::answered(const ModelName& model, const Usage& usage,
                                                std::size_t loaded, Instant now) {
  if (usage.output_tokens < kMinTokens || usage.eval <= Duration::zero()) return std::nullopt;
  Known& norm = known(model);
  // Where nothing was ever on a GPU, slow is how it is.
  if (!has_gpus_ && !norm.whole_at_context) return std::nullopt;
  const double speed = static_cast<double>(usage.output_tokens) / to_seconds(usage.eval);
  if (norm.speeds.size() >= kEnough) {
    const double usual = median(norm.speeds);
    const double sharing = static_cast<double>(std::max<std::size_t>(loaded, 1));
    const bool slow = speed * kSlowFactor < usual;
    // It may share the GPU with all of them: then this says nothing, and is not how fast it is.
    if (slow && speed * kSlowFactor * sharing >= usual) return std::nullopt;
    if (slow) {
      if (++norm.slow_in_row < kSlowAnswers) return std::nullopt;
      return tell(model,
                  fmt::format("model '{}' makes {:.1f} tokens a second instead of {:.0f}",
                              model.text(), speed, usual),
                  now);
    }
  }
  norm.slow_in_row = 0;
  if (norm.speeds.size() < kWindow) {
    norm.speeds.push_back(speed);
  } else {
    norm.speeds[norm.next_speed++ % kWindow] = speed;
  }
  return std::nullopt;
}

std::optional<Fallback> FallbackWatch::tell(const ModelName& model, std::string detail,
                                            Instant now) {
  started_anew();
  if (now < quiet_until_) return std::nullopt;
  quiet_until_ = now + kPause;
  return Fallback{model, std::move(detail)};
}

void FallbackWatch::started_anew() {
  for (auto& [model, each] : models_) each.looks_in_row = each.slow_in_row = 0;
}

}  // namespace drover::core
