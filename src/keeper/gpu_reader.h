#pragma once
// Finding and reading GPUs. Every kind of driver has a reader of its own; joined they give one
// report, like the rows of several meters copied onto one sheet.
//
// No reader ever fails as a whole: what goes wrong is a state of a device, an absent reading or a
// sentence in GpuReport::problems. A machine without GPUs gives an empty report, source "none".

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/gpu.h"

namespace drover::keeper {

// Used by one thread at a time. A call may hang with a sick driver: see gpu_watch.h.
class GpuReader {
 public:
  virtual ~GpuReader() = default;
  virtual GpuReport read() = 0;
};

// Where to look; tests and containers look elsewhere.
struct GpuPlaces {
  std::optional<std::string> nvml_library;  // instead of libnvidia-ml.so.1
  std::string sys_root = "/sys";
  std::string proc_root = "/proc";
};

// Joins the reports of several readers, and remembers: a device that was there and that no reader
// lists any more is kLost until it comes back. Its UUID is what it is recognised by, since indexes
// may change with every start of a driver.
class JoinedGpus final : public GpuReader {
 public:
  explicit JoinedGpus(std::vector<std::unique_ptr<GpuReader>> readers);
  GpuReport read() override;

 private:
  std::vector<std::unique_ptr<GpuReader>> readers_;
  std::vector<Gpu> seen_;  // by UUID, as last listed
};

// NVML and sysfs, joined.
std::unique_ptr<GpuReader> make_gpu_reader(const GpuPlaces& places);

// A device of which nothing is known any more but what it is.
Gpu without_readings(const Gpu& gpu, GpuCondition condition, std::string detail);

}  // namespace drover::keeper
