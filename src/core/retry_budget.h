#pragma once
// RetryBudget: how many second tries the fleet can bear. When every instance fails, each client
// request would otherwise become three, and the load of the retries would keep the fleet down.
//
// Retries under way stay within a share of the requests under way that are no such retries (20 %),
// so that failing instances see at most 1.2 times the clients' load; three are always allowed, so
// that a quiet fleet can retry at all. Leaving retries out of what they are measured against is
// what makes the bound 1.2: against all requests it would be 1 / (1 - 0.2) = 1.25.
//
// The first retry of a request that was lost with a dying instance is exempt: one death costs each
// of its requests one retry, and cannot feed on itself. It stands in for the first try that it
// replaces, so it counts on the clients' side: a death must not shrink the budget of the next one.

#include <cstdint>

#include "core/events.h"
#include "core/settings.h"

namespace drover::core {

enum class Attempt : std::uint8_t { kFirst, kExemptRetry, kRetry };

Attempt classify(const RequestArrived& request);

class RetryBudget {
 public:
  explicit RetryBudget(const Settings& settings)
      : share_(settings.retry_budget), always_(settings.retry_budget_min) {}

  bool allows(Attempt attempt) const;
  void started(Attempt attempt);
  void ended(Attempt attempt);

 private:
  double share_;
  std::uint32_t always_;
  std::uint32_t clients_ = 0;  // first tries and exempt retries under way
  std::uint32_t retries_ = 0;
};

}  // namespace drover::core
