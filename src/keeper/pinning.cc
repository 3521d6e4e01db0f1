#include "keeper/pinning.h"

#include <fmt/format.h>

#include <algorithm>

namespace drover::keeper {
namespace {

template <class Value>
bool contains(const std::vector<Value>& values, const Value& wanted) {
  return std::find(values.begin(), values.end(), wanted) != values.end();
}

std::string show_memory(const std::optional<std::uint64_t>& bytes) {
  if (!bytes) return "memory";
  constexpr double kMebibyte = 1024.0 * 1024.0;
  const double mebibytes = static_cast<double>(*bytes) / kMebibyte;
  if (mebibytes < 1024) return fmt::format("{:.0f} MiB", mebibytes);
  return fmt::format("{:.1f} GiB", mebibytes / 1024);
}

// Spanning instances own every device, so an instance with fewer is named first.
std::string owner_of(const std::string& uuid, const std::vector<PinnedInstance>& instances) {
  const PinnedInstance* owner = nullptr;
  for (const PinnedInstance& instance : instances) {
    if (!contains(instance.gpus, uuid)) continue;
    if (owner == nullptr || instance.gpus.size() < owner->gpus.size()) owner = &instance;
  }
  return owner == nullptr ? "no instance" : owner->name;
}

Pinning check(const PinnedInstance& instance, const std::vector<PinnedInstance>& instances,
              const GpuReport& report) {
  if (instance.gpus.empty()) return {};
  bool at_home = false;
  bool everything_read = true;
  for (const Gpu& gpu : report.gpus) {
    // Nothing can run on a lost GPU, so its missing list leaves nothing open.
    if (!gpu.processes && gpu.condition != GpuCondition::kLost) everything_read = false;
    if (!gpu.processes) continue;
    const bool own = contains(instance.gpus, gpu.uuid);
    for (const GpuProcess& process : *gpu.processes) {
      if (!contains(instance.pids, process.pid)) continue;
      if (own) {
        at_home = true;
        continue;
      }
      return {false, fmt::format("runner {} of {} holds {} on {}, which belongs to {}", process.pid,
                                 instance.name, show_memory(process.memory_bytes), gpu.uuid,
                                 owner_of(gpu.uuid, instances))};
    }
  }
  if (!at_home || !everything_read) return {};
  return {true, ""};
}

}  // namespace

std::vector<Pinning> check_pinning(const std::vector<PinnedInstance>& instances,
                                   const GpuReport& report) {
  std::vector<Pinning> answers;
  for (const PinnedInstance& instance : instances) {
    answers.push_back(check(instance, instances, report));
  }
  return answers;
}

}  // namespace drover::keeper
