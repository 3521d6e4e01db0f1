#include "keeper/unit_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace drover::keeper {
namespace {

template <class Number>
Number number_in(std::string_view text) {
  Number number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

void take(UnitState& state, std::string_view name, std::string_view value) {
  if (name == "Id") state.unit = value;
  if (name == "ActiveState") state.active = value;
  if (name == "SubState") state.sub = value;
  if (name == "Result") state.result = value;
  if (name == "MainPID") state.main_pid = number_in<std::int64_t>(value);
  if (name == "NRestarts") state.restarts = number_in<std::uint64_t>(value);
}

}  // namespace

std::vector<std::string> unit_states_question(const std::vector<std::string>& units) {
  std::vector<std::string> argv = {"systemctl", "show"};
  argv.insert(argv.end(), units.begin(), units.end());
  argv.emplace_back("--property=Id,ActiveState,SubState,MainPID,NRestarts,Result");
  return argv;
}

std::vector<UnitState> read_unit_states(std::string_view answer) {
  std::vector<UnitState> all;
  UnitState state;
  while (!answer.empty()) {
    const std::size_t end = std::min(answer.find('\n'), answer.size());
    const std::string_view line = answer.substr(0, end);
    answer.remove_prefix(std::min(end + 1, answer.size()));
    const std::size_t equals = line.find('=');
    if (equals != std::string_view::npos) {
      take(state, line.substr(0, equals), line.substr(equals + 1));
    }
    if (!line.empty() && !answer.empty()) continue;
    if (!state.unit.empty() && !state.active.empty()) all.push_back(std::move(state));
    state = {};
  }
  return all;
}

InstanceProcess process_of(const UnitState& state) {
  InstanceProcess process;
  process.pid = state.main_pid;
  process.starts = state.restarts + 1;
  if (state.active == "active" || state.active == "reloading") {
    process.state = ProcessState::kRunning;
  } else if (state.active == "activating" && state.sub != "auto-restart") {
    process.state = ProcessState::kStarting;
  } else if (state.active == "activating") {
    process.state = ProcessState::kWaiting;
    process.reason = fmt::format("ended ({}); systemd starts it again", state.result);
  } else if (state.active == "deactivating") {
    process.state = ProcessState::kStopping;
    process.reason = "systemd stops it";
  } else if (state.active == "failed") {
    process.state = ProcessState::kQuarantined;
    process.reason =
        fmt::format("failed ({}); read `journalctl -u {}`, then `systemctl restart {}`",
                    state.result, state.unit, state.unit);
  } else {
    process.state = ProcessState::kStopped;
    process.reason = fmt::format("{}; `systemctl start {}` starts it", state.active, state.unit);
  }
  return process;
}

}  // namespace drover::keeper
