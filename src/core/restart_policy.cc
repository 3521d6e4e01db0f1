#include "core/restart_policy.h"

#include <fmt/format.h>

#include <algorithm>

namespace drover::core {

RestartVerdict RestartPolicy::failed(Instant now, std::string_view why) {
  while (!failures_.empty() && now - failures_.front() > rules_.window) failures_.pop_front();
  failures_.push_back(now);
  if (failures_.size() >= rules_.failures_to_quarantine) {
    const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(rules_.window).count();
    return {RestartVerdict::Action::kQuarantine,
            {},
            fmt::format("failed {} times within {} minutes without serving a request, last: {}; "
                        "see its log, then 'drover backends restart'",
                        failures_.size(), minutes, why)};
  }
  wait_ = wait_ == Duration{} ? rules_.wait_min : std::min(wait_ * 2, rules_.wait_max);
  const double extra = rules_.jitter * rng_.unit() * static_cast<double>(wait_.count());
  return {RestartVerdict::Action::kStart, wait_ + Duration(static_cast<Duration::rep>(extra)), {}};
}

void RestartPolicy::served() {
  failures_.clear();
  wait_ = {};
}

}  // namespace drover::core
