#pragma once
// What is known about the GPUs of this machine: values that the keeper reads, core decides on and
// the exporters show. A reading that cannot be had is absent, never zero.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace drover {

enum class GpuVendor : std::uint8_t { kNvidia, kAmd, kIntel };
std::string_view to_string(GpuVendor vendor);  // "nvidia", "amd", "intel"

// A process that holds memory of a GPU.
struct GpuProcess {
  std::int64_t pid = 0;
  std::optional<std::uint64_t> memory_bytes;
  friend bool operator==(const GpuProcess&, const GpuProcess&) = default;
};

enum class GpuCondition : std::uint8_t {
  kWell,
  kSilent,  // a call to its driver has not come back in time; the readings are the last ones known
  kLost,    // the driver says that it is gone; nothing can run there
  kFailed,  // the driver answers with another error
};
std::string_view to_string(GpuCondition condition);  // "well", "silent", "lost", "failed"

// One device that an instance can be pinned to: a GPU, or one MIG slice of it. A GPU with MIG on is
// not listed itself: nothing can be scheduled on it.
struct Gpu {
  std::uint32_t index = 0;  // in the driver's order; it may change with every start
  std::string uuid;         // the identity: "GPU-…", "MIG-…"; AMD's unique_id; else the PCI address
  std::string name;         // "NVIDIA H100 80GB HBM3"
  GpuVendor vendor = GpuVendor::kNvidia;
  std::string pci;          // "0000:3b:00.0"; empty: unknown
  std::string driver;       // version; empty: unknown
  std::string mig_profile;  // a MIG slice: its parent's UUID and position; empty otherwise

  GpuCondition condition = GpuCondition::kWell;
  std::string detail;  // why it is not well; empty when it is

  std::optional<std::uint64_t> memory_total_bytes;
  std::optional<std::uint64_t> memory_used_bytes;  // by everybody, other tenants included
  std::optional<double> utilization;               // 0 to 1; absent on MIG slices
  std::optional<double> temperature_celsius;
  std::optional<double> power_watts;
  std::optional<double> power_limit_watts;
  std::vector<std::string> throttle_reasons;          // now; "sw_thermal", "hw_slowdown", …
  std::map<std::uint32_t, std::uint64_t> xid_errors;  // count by number, since the reader began
  std::optional<std::vector<GpuProcess>> processes;   // absent: they cannot be read

  friend bool operator==(const Gpu&, const Gpu&) = default;
};

// Everything found at one moment.
struct GpuReport {
  std::string source = "none";        // "nvml 550.54", "sysfs", "nvml …, sysfs"; "none"
  std::vector<Gpu> gpus;              // by vendor, then index
  std::vector<std::string> problems;  // sentences for people: a driver that does not load, …
  friend bool operator==(const GpuReport&, const GpuReport&) = default;
};

}  // namespace drover
