#include "core/retry_budget.h"

#include <algorithm>

#include "base/check.h"

namespace drover::core {

Attempt classify(const RequestArrived& request) {
  if (request.attempt == 0) return Attempt::kFirst;
  const bool lost_with_instance = request.cause == RetryCause::kInstanceDied;
  return lost_with_instance && request.attempt == 1 ? Attempt::kExemptRetry : Attempt::kRetry;
}

bool RetryBudget::allows(Attempt attempt) const {
  if (attempt != Attempt::kRetry) return true;
  const auto share = static_cast<std::uint32_t>(share_ * clients_);
  return retries_ < std::max(always_, share);
}

void RetryBudget::started(Attempt attempt) { ++(attempt == Attempt::kRetry ? retries_ : clients_); }

void RetryBudget::ended(Attempt attempt) {
  std::uint32_t& under_way = attempt == Attempt::kRetry ? retries_ : clients_;
  DROVER_ASSERT(under_way > 0);
  --under_way;
}

}  // namespace drover::core
