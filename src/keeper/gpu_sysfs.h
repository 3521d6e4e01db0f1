#pragma once
// AMD's and Intel's GPUs, read from the files of their kernel drivers; no library is needed.
//
// Only devices with memory of their own are listed: an integrated GPU shares the memory of the CPU
// (some hold back a few hundred megabytes for the screen), and Ollama leaves such devices out too.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "keeper/gpu_reader.h"

namespace drover::keeper {

class SysfsReader final : public GpuReader {
 public:
  explicit SysfsReader(std::string sys_root = "/sys", std::string proc_root = "/proc")
      : sys_root_(std::move(sys_root)), proc_root_(std::move(proc_root)) {}
  GpuReport read() override;

 private:
  std::string sys_root_;
  std::string proc_root_;
};

// One open file of a process on a GPU, as /proc/PID/fdinfo/FD describes it to whoever asks.
struct DrmClient {
  std::string pdev;              // the PCI address
  std::uint64_t client = 0;      // several descriptors may share one client: it counts once
  std::uint64_t vram_bytes = 0;  // of the device's own memory
};
// Nothing when the file is not one of a GPU, or does not say what it holds.
std::optional<DrmClient> parse_fdinfo(std::string_view text);

// The PCI address of the first NVIDIA GPU on the bus, with or without a driver.
std::optional<std::string> nvidia_card(const std::string& sys_root);

}  // namespace drover::keeper
