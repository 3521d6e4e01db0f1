#pragma once
// A supervised instance as a process: values that the keeper measures and the exporters show.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace drover {

enum class ProcessState : std::uint8_t {
  kStarting,     // runs, has not answered HTTP yet
  kRunning,      // has answered
  kStopping,     // was told to end
  kWaiting,      // ended; starts again after its back-off
  kStopped,      // was told to end and has ended
  kQuarantined,  // failed too often: stays out until an operator restarts it
};
std::string_view to_string(ProcessState state);  // "starting", "running", …

// Sums are over the whole tree of the instance: the server and the runners that it started.
struct InstanceProcess {
  ProcessState state = ProcessState::kStarting;
  std::string reason;        // why it is not running; empty when it is
  std::int64_t pid = 0;      // of `ollama serve`; 0: none
  std::uint64_t starts = 0;  // processes started so far; restarts are one less
  std::uint32_t processes = 0;
  Duration cpu{};  // user and system, of those alive
  std::uint64_t rss_bytes = 0;
  std::uint32_t open_files = 0;
  // The runners are on the instance's own GPUs and on no other; absent: not known (yet).
  std::optional<bool> pinned_well;
  std::string pinning_detail;  // which process sits where it should not; empty otherwise
  friend bool operator==(const InstanceProcess&, const InstanceProcess&) = default;
};

constexpr std::uint64_t restarts(const InstanceProcess& process) {
  return process.starts > 0 ? process.starts - 1 : 0;
}

}  // namespace drover
