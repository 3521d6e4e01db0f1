#pragma once
// NVIDIA's GPUs, read through the library of their driver (NVML), which is loaded at run time.
//
// A session with the driver can end: the module is unloaded, a GPU falls off the bus. It is then
// begun anew every few readings, so that what was repaired is found again without a restart.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "keeper/gpu_reader.h"
#include "keeper/nvml_api.h"

namespace drover::keeper {

struct NvmlOptions {
  std::optional<std::string> library;  // this file and no other
  std::string sys_root = "/sys";       // to see whether there is a card that lacks its library
  // Readings between two tries to begin a session that failed or has lost a GPU: with one reading
  // per second, ten seconds. Beginning is slow (0.1 s for each GPU), so not every time.
  unsigned readings_between_tries = 10;
};

class NvmlReader final : public GpuReader {
 public:
  explicit NvmlReader(NvmlOptions options);
  // Leaves session and library to the end of the process: closing them may hang with a sick driver,
  // and frees nothing that lasts.
  ~NvmlReader() override = default;
  NvmlReader(const NvmlReader&) = delete;
  NvmlReader& operator=(const NvmlReader&) = delete;

  GpuReport read() override;

 private:
  using XidKey = std::pair<std::string, unsigned>;  // UUID of the whole GPU, GPU instance

  void begin();
  bool load();
  void end();
  void watch_events();
  void poll_events();
  bool read_index(unsigned index, GpuReport& report);
  void lose(const Gpu& gpu, nvml::Return code, GpuReport& report) const;
  void read_slices(nvml::Device parent, const Gpu& whole, GpuReport& report);
  void read_sensors(nvml::Device handle, Gpu& gpu) const;
  std::map<std::uint32_t, std::uint64_t> xids(const std::string& whole, unsigned instance) const;
  std::string explain(nvml::Return code) const;

  NvmlOptions options_;
  void* library_ = nullptr;
  nvml::Functions call_{};
  bool in_session_ = false;
  unsigned readings_until_try_ = 0;
  unsigned most_ = 0;    // GPUs that were ever listed at once
  std::string problem_;  // why there is no session; empty: there is nothing to have one with
  std::string driver_;
  nvml::EventSet events_ = nullptr;
  std::map<nvml::Device, std::string> watched_;                    // whole GPUs, their UUIDs
  std::map<XidKey, std::map<std::uint32_t, std::uint64_t>> xids_;  // counted over all sessions
  std::vector<Gpu> last_;  // of this session: who is at an index that gives no handle any more
};

}  // namespace drover::keeper
