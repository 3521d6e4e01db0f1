#include "keeper/gpu_reader.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "keeper/gpu_nvml.h"
#include "keeper/gpu_sysfs.h"

namespace drover::keeper {
namespace {

auto find_uuid(std::vector<Gpu>& gpus, const std::string& uuid) {
  return std::find_if(gpus.begin(), gpus.end(), [&](const Gpu& gpu) { return gpu.uuid == uuid; });
}

void append(GpuReport& report, GpuReport part) {
  if (part.source != "none") {
    report.source = report.source == "none" ? part.source : report.source + ", " + part.source;
  }
  std::move(part.gpus.begin(), part.gpus.end(), std::back_inserter(report.gpus));
  std::move(part.problems.begin(), part.problems.end(), std::back_inserter(report.problems));
}

}  // namespace

JoinedGpus::JoinedGpus(std::vector<std::unique_ptr<GpuReader>> readers)
    : readers_(std::move(readers)) {}

GpuReport JoinedGpus::read() {
  GpuReport report;
  for (const auto& reader : readers_) append(report, reader->read());
  for (const Gpu& gpu : report.gpus) {
    const auto known = find_uuid(seen_, gpu.uuid);
    if (known == seen_.end()) {
      seen_.push_back(gpu);
    } else {
      *known = gpu;
    }
  }
  for (const Gpu& gpu : seen_) {
    if (find_uuid(report.gpus, gpu.uuid) != report.gpus.end()) continue;
    report.gpus.push_back(
        without_readings(gpu, GpuCondition::kLost,
                         "its driver no longer lists it; see the kernel's log (dmesg) for why"));
  }
  std::stable_sort(report.gpus.begin(), report.gpus.end(), [](const Gpu& a, const Gpu& b) {
    return std::tie(a.vendor, a.index) < std::tie(b.vendor, b.index);
  });
  return report;
}

std::unique_ptr<GpuReader> make_gpu_reader(const GpuPlaces& places) {
  std::vector<std::unique_ptr<GpuReader>> readers;
  readers.push_back(std::make_unique<NvmlReader>(
      NvmlOptions{.library = places.nvml_library, .sys_root = places.sys_root}));
  readers.push_back(std::make_unique<SysfsReader>(places.sys_root, places.proc_root));
  return std::make_unique<JoinedGpus>(std::move(readers));
}

Gpu without_readings(const Gpu& gpu, GpuCondition condition, std::string detail) {
  return {.index = gpu.index,
          .uuid = gpu.uuid,
          .name = gpu.name,
          .vendor = gpu.vendor,
          .pci = gpu.pci,
          .driver = gpu.driver,
          .mig_profile = gpu.mig_profile,
          .condition = condition,
          .detail = std::move(detail),
          .xid_errors = gpu.xid_errors};
}

}  // namespace drover::keeper
