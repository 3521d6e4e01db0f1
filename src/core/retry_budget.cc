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
  const auto share = static_cast<std::uint32_t>(share_ * first_tries_);
  return retries_ < std::max(always_, share);
}

void RetryBudget::started(Attempt attempt) {
  if (attempt == Attempt::kFirst) ++first_tries_;
  if (attempt == Attempt::kRetry) ++retries_;
}

void RetryBudget::ended(Attempt attempt) {
  DROVER_ASSERT(attempt != Attempt::kFirst || first_tries_ > 0);
  DROVER_ASSERT(attempt != Attempt::kRetry || retries_ > 0);
  if (attempt == Attempt::kFirst) --first_tries_;
  if (attempt == Attempt::kRetry) --retries_;
}

}  // namespace drover::core
