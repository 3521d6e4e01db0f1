#pragma once
// Does every instance compute where it was told to? The proof is the driver's list of processes:
// the runners of an instance hold memory on its own GPUs and on no other.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/gpu.h"

namespace drover::keeper {

struct PinnedInstance {
  std::string name;
  std::vector<std::string> gpus;   // UUIDs of its devices; empty: it is pinned to none
  std::vector<std::int64_t> pids;  // its process tree
};

struct Pinning {
  // Absent: not known. Nothing of it is on a GPU (no model is loaded, or it computes on the CPU),
  // or the processes of a GPU cannot be read.
  std::optional<bool> pinned_well;
  std::string detail;  // "runner 4711 of gpu0 holds 5.1 GiB on GPU-b, which belongs to gpu1"
};

// One answer for each instance, in their order.
std::vector<Pinning> check_pinning(const std::vector<PinnedInstance>& instances,
                                   const GpuReport& report);

}  // namespace drover::keeper
