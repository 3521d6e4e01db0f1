#include "base/process.h"

namespace drover {

std::string_view to_string(ProcessState state) {
  switch (state) {
    case ProcessState::kStarting:
      return "starting";
    case ProcessState::kRunning:
      return "running";
    case ProcessState::kStopping:
      return "stopping";
    case ProcessState::kWaiting:
      return "waiting";
    case ProcessState::kStopped:
      return "stopped";
    case ProcessState::kQuarantined:
      return "quarantined";
  }
  return "";
}

}  // namespace drover
