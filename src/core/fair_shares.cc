#include "core/fair_shares.h"

#include <algorithm>

#include "base/check.h"

namespace drover::core {

FairShares::Tenant& FairShares::active_one(TenantId id) {
  const auto [found, is_new] = tenants_.try_emplace(id);
  Tenant& tenant = found->second;
  const bool at_rest = tenant.waiting + tenant.running == 0;
  if (!is_new && at_rest) (tenant.active ? lingering_ : resting_).erase(tenant.resting);
  if (tenant.active) return tenant;
  if (!by_had_.empty()) tenant.had = std::max(tenant.had, by_had_.begin()->first);
  tenant.active = true;
  by_had_.emplace(tenant.had, id);
  return tenant;
}

void FairShares::rest(TenantId id, Tenant& tenant, Instant now) {
  if (tenant.waiting + tenant.running > 0) return;
  tenant.rests_since = now;
  tenant.resting = lingering_.insert(lingering_.end(), id);
}

bool FairShares::pass(Instant now) {
  bool any = false;
  while (!lingering_.empty()) {
    const TenantId id = lingering_.front();
    Tenant& tenant = tenants_.at(id);
    if (now - tenant.rests_since < kLinger) break;
    by_had_.erase({tenant.had, id});
    tenant.active = false;
    any = true;
    resting_.splice(resting_.end(), lingering_, lingering_.begin());
  }
  while (resting_.size() > kMaxResting) {
    tenants_.erase(resting_.front());
    resting_.pop_front();
  }
  return any;
}

Instant FairShares::next_change() const {
  return lingering_.empty() ? kNever : tenants_.at(lingering_.front()).rests_since + kLinger;
}

void FairShares::queued(TenantId id) { ++active_one(id).waiting; }

void FairShares::left_queue(TenantId id, Instant now) {
  Tenant& tenant = tenants_.at(id);
  DROVER_ASSERT(tenant.waiting > 0);
  --tenant.waiting;
  rest(id, tenant, now);
}

void FairShares::began(TenantId id, double tokens) {
  ++active_one(id).running;
  ++running_;
  correct(id, tokens);
}

void FairShares::correct(TenantId id, double tokens) {
  Tenant& tenant = tenants_.at(id);
  if (tenant.active) by_had_.erase({tenant.had, id});
  tenant.had = std::max(0.0, tenant.had + tokens);
  if (tenant.active) by_had_.emplace(tenant.had, id);
}

void FairShares::ended(TenantId id, Instant now) {
  Tenant& tenant = tenants_.at(id);
  DROVER_ASSERT(tenant.running > 0);
  --tenant.running;
  --running_;
  rest(id, tenant, now);
}

double FairShares::had(TenantId id) const {
  const auto found = tenants_.find(id);
  return found == tenants_.end() ? 0 : found->second.had;
}

bool FairShares::above_share(TenantId id) const {
  const auto found = tenants_.find(id);
  if (found == tenants_.end() || by_had_.size() < 2) return false;
  if (found->second.running <= kNoBacklog) return false;
  return found->second.running * by_had_.size() > running_;
}

bool FairShares::leaves_last_slot(TenantId id) const {
  if (!above_share(id)) return false;
  const auto least = by_had_.begin();
  return least->second != id || least->first >= std::next(least)->first;
}

}  // namespace drover::core
