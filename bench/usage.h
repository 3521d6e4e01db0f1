#pragma once
// What processes and the machine have used, read from the kernel.

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <vector>

#include "posix.h"

namespace drover::bench {

// A process and all that it has started.
std::vector<pid_t> process_tree(pid_t root);

// CPU time of processes. `ns` is exact and counts what the kernel did in their name, loopback TCP
// included. The two others are the kernel's division of it by sampling, in steps of 10 ms: good for
// a proportion over seconds, and for nothing finer.
inline constexpr std::uint64_t kTicksPerSecond = 100;  // USER_HZ, on every Linux
struct CpuTime {
  std::uint64_t ns = 0;
  std::uint64_t user_ticks = 0;
  std::uint64_t kernel_ticks = 0;
};
CpuTime cpu_time(const std::vector<pid_t>& processes);

// Resident memory. `largest` is that of the process with the most: of drover the gateway, of nginx
// the worker. Kernel memory of sockets is in neither.
struct Memory {
  std::uint64_t all_bytes = 0;
  std::uint64_t largest_bytes = 0;
};
Memory resident(const std::vector<pid_t>& processes);

// Time in which these cores were not idle, and what of it a hypervisor gave to somebody else. In
// steps of 10 ms. Not idle is also an interrupt that wakes an idle core, which no process is
// charged for: with ten thousand wake-ups a second that is a tenth of a core and more.
struct CoreTime {
  std::uint64_t busy_ns = 0;
  std::uint64_t stolen_ns = 0;
};
CoreTime core_time(const Cores& cores, std::uint64_t now);

// The CPU time of every process but these and the kernel's own threads, with that of its children
// that have ended.
using OthersTime = std::map<pid_t, std::uint64_t>;
OthersTime others_time(const std::vector<pid_t>& ours);
std::uint64_t grown(const OthersTime& before, const OthersTime& after);

}  // namespace drover::bench
