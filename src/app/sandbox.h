#pragma once
// The gateway is the process that strangers talk to, so it gives up what it never needs: running
// programs, tracing others, loading code into the kernel, and every file but the few it reads.
// Devices are out of its reach, the GPUs' above all.

#include <string>
#include <vector>

namespace drover::app {

// Irrevocable, for this thread and those that it starts later; to be called before there are any.
// The `writable` directories stay so, and the `readable` ones can be read. Returns what holds from
// here on, for the log: what a kernel does not offer is named, not silently left out.
std::string enter_sandbox(const std::vector<std::string>& writable,
                          const std::vector<std::string>& readable);

}  // namespace drover::app
