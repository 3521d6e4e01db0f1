#pragma once
// What systemd says about the units of instances, and what that means for an instance. Pure: the
// text of `systemctl show` in, values out.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/process.h"

namespace drover::keeper {

struct UnitState {
  std::string unit;    // "drover-ollama@gpu0.service"
  std::string active;  // "active", "activating", "deactivating", "failed", "inactive"
  std::string sub;     // "running", "auto-restart", …
  std::string result;  // of the last life: "success", "exit-code", "signal", "oom-kill", …
  std::int64_t main_pid = 0;
  std::uint64_t restarts = 0;
  friend bool operator==(const UnitState&, const UnitState&) = default;
};

// argv of the question whose answer read_unit_states() takes.
std::vector<std::string> unit_states_question(const std::vector<std::string>& units);

// One for each block of the answer that names its unit; what is not understood is left out.
std::vector<UnitState> read_unit_states(std::string_view answer);

// State, reason, starts and pid; what the process uses is measured elsewhere.
InstanceProcess process_of(const UnitState& state);

}  // namespace drover::keeper
