#pragma once
// What the fake NVML pretends, read from the file that FAKE_NVML_SCENARIO names. The file is read
// again at every call, so whoever writes it (best by rename) changes the machine while it runs.
// Without the variable or the file there are no GPUs.
//
// A line is a word and its value; blanks around are ignored, `#` starts a comment.
//
//   driver 550.54.14              version of the driver
//   init 9                        nvmlInit answers with this code; 9: the driver is not loaded
//   block PATH                    every call waits while this file exists
//   delay_ms 20                   every call takes at least this long
//   processes_dir DIR             a file DIR/<uuid>/<pid> means that this process holds memory
//                                 there: as many bytes as the number in the file says. Files of
//                                 processes that do not live are ignored.
//   gpu GPU-1234                  a GPU with this UUID; the lines that follow describe it
//     name NVIDIA H100 80GB HBM3
//     pci 0000:3b:00.0
//     memory_total 85520809984    bytes
//     memory_used 1000000         bytes, beside what the processes hold
//     utilization 35              per cent
//     temperature 41              degrees Celsius
//     power 71234                 milliwatts
//     power_limit 700000
//     throttle 0x40               bits of nvmlClocksEventReasons
//     process 4711 5368709120     a process and what it holds; "n/a": the driver does not say
//     error 15                    every question about it is answered with this code
//     no_handle 15                so is the question for its handle
//     xid 79                      a critical error, told once for each such line (a line added
//     xid 31 3                    later is told later); with the number of its GPU instance
//     mig                         MIG is on
//     slice MIG-1234              a MIG slice of this GPU; the lines that follow describe the slice
//       instance 3                its GPU instance
//
// What is not said is not supported: a GPU without `utilization` has no such reading.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace drover::fake_nvml {

struct Xid {
  unsigned number = 0;
  std::optional<unsigned> instance;
};

struct Device {
  std::string uuid;
  std::map<std::string, std::string> words;
  std::vector<std::pair<unsigned, std::optional<std::uint64_t>>> processes;
  std::vector<Xid> xids;
  bool mig = false;
  std::vector<Device> slices;

  std::optional<std::uint64_t> number(const std::string& word) const;
};

struct Scenario {
  std::map<std::string, std::string> words;
  std::vector<Device> gpus;

  std::uint64_t number(const std::string& word, std::uint64_t otherwise) const;
};

// Reads the file, having waited as it asks.
Scenario now();

}  // namespace drover::fake_nvml
