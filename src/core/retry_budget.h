#pragma once
// RetryBudget: how many second tries the fleet can bear. When every instance fails, each client
// request would otherwise become three, and the load of the retries would keep the fleet down.
//
// Retries under way stay within a share of the first tries under way (20 %), so that failing
// instances see at most 1.2 times the clients' load; three are always allowed, so that a quiet
// fleet can retry at all. Measuring against first tries and not against all requests is what makes
// the bound 1.2: against all it would be 1 / (1 - 0.2) = 1.25.
//
// The first retry of a request that was lost with a dying instance is exempt: one death costs each
// of its requests one retry, and cannot feed on itself.

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

  std::uint32_t first_tries() const { return first_tries_; }
  std::uint32_t retries() const { return retries_; }

 private:
  double share_;
  std::uint32_t always_;
  std::uint32_t first_tries_ = 0;
  std::uint32_t retries_ = 0;
};

}  // namespace drover::core
