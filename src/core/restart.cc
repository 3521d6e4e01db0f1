#include "core/restart.h"

namespace drover::core {

bool Restart::begin(RestartCause cause, std::string reason, Instant order_at) {
  if (stage_ == Stage::kOrdered) return false;
  if (stage_ == Stage::kDraining && deadline_ <= order_at) return false;
  stage_ = Stage::kDraining;
  cause_ = cause;
  reason_ = std::move(reason);
  deadline_ = order_at;
  newer_runs_ = false;
  return true;
}

bool Restart::call_off() {
  if (stage_ != Stage::kDraining) return false;
  stage_ = Stage::kNone;
  return true;
}

bool Restart::due(std::uint32_t in_flight, Instant now) const {
  return stage_ == Stage::kDraining && (in_flight == 0 || deadline_ <= now);
}

void Restart::ordered(std::uint64_t starts, Instant give_up_at) {
  stage_ = Stage::kOrdered;
  starts_ = starts;
  deadline_ = give_up_at;
}

bool Restart::saw(const InstanceProcess& process) {
  const bool runs =
      process.state == ProcessState::kStarting || process.state == ProcessState::kRunning;
  if (stage_ != Stage::kOrdered || newer_runs_ || !runs || process.starts <= starts_) return false;
  newer_runs_ = true;
  return true;
}

bool Restart::answered() {
  if (stage_ != Stage::kOrdered || !newer_runs_) return false;
  stage_ = Stage::kNone;
  return true;
}

bool Restart::time_passed(Instant now) {
  if (stage_ != Stage::kOrdered || deadline_ > now) return false;
  stage_ = Stage::kNone;
  return true;
}

}  // namespace drover::core
