#pragma once
// The numbers behind the decisions, with their defaults. The app fills them from the configuration;
// health.h, retry_budget.h and picker.h say what each one does.

#include <chrono>
#include <cstdint>
#include <string_view>

#include "base/time.h"

namespace drover::core {

enum class PolicyName : std::uint8_t { kRoundRobin, kLeastLoaded };
std::string_view to_string(PolicyName policy);

struct Settings {
  PolicyName policy = PolicyName::kLeastLoaded;

  std::uint32_t failures_to_down = 2;  // consecutive failed requests, or consecutive missed checks
  std::uint32_t residency_misses_forgiven = 2;            // /api/ps blocks while a model unloads
  Duration probation_wait_min = std::chrono::seconds(1);  // doubling
  Duration probation_wait_max = std::chrono::seconds(60);
  double probation_jitter = 0.5;  // of the wait, added at random: instances do not return in step
  Duration last_resort_interval = std::chrono::seconds(1);  // between requests to a last holder

  std::uint32_t max_retries = 2;       // per request
  double retry_budget = 0.2;           // retries under way / first tries under way
  std::uint32_t retry_budget_min = 3;  // always allowed at once

  Duration refresh_wait = std::chrono::seconds(2);  // longest wait for catalogues on a miss
  std::uint32_t max_waiting = 4096;                 // requests that wait for catalogues
  // How often the probe asks. Only used to tell clients when coming back makes sense.
  Duration check_interval = std::chrono::seconds(2);

  std::uint64_t seed = 1;
};

}  // namespace drover::core
