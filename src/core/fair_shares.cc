#include "core/fair_shares.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace drover::core {

FairShares::Tenant& FairShares::active_one(TenantId id) {
  const auto [found, is_new] = tenants_.try_emplace(id);
  Tenant& tenant = found->second;
  const bool at_rest = tenant.waiting + tenant.running == 0;
  if (!is_new && at_rest) (tenant.active ? lingering_ : resting_).erase(tenant.resting);
  if (tenant.active) return tenant;
  if (!by_had_.empty()) {
    settle_least();
    tenant.had = std::max(tenant.had, by_had_.begin()->first);
  }
  tenant.active = true;
  tenant.key = tenant.had;
  by_had_.emplace(tenant.key, id);
  return tenant;
}

void FairShares::sort_in(TenantId id, Tenant& tenant) {
  auto place = by_had_.extract({tenant.key, id});
  place.value().first = tenant.key = tenant.had;
  by_had_.insert(std::move(place));
}

void FairShares::settle_least() {
  std::size_t settled = 0;
  for (auto each = by_had_.begin(); each != by_had_.end() && settled < 2;) {
    const TenantId id = each->second;
    Tenant& tenant = tenants_.at(id);
    if (tenant.key == tenant.had) {
      ++settled;
      ++each;
      continue;
    }
    sort_in(id, tenant);
    settled = 0;
    each = by_had_.begin();
  }
}

void FairShares::rest(TenantId id, Tenant& tenant, Instant now) {
  if (tenant.waiting + tenant.running > 0) return;
  tenant.rests_since = now;
  tenant.resting = lingering_.insert(lingering_.end(), id);
}

bool FairShares::pass(Instant now) {
  bool any = in_a_hurry_ == 0 && hurry_until_ != kNoHurry && hurry_until_ <= now;
  if (any) hurry_until_ = kNoHurry;
  while (!lingering_.empty()) {
    const TenantId id = lingering_.front();
    Tenant& tenant = tenants_.at(id);
    if (now - tenant.rests_since < kLinger) break;
    by_had_.erase({tenant.key, id});
    tenant.active = false;
    any = true;
    resting_.splice(resting_.end(), lingering_, lingering_.begin());
  }
  if (any && by_had_.size() > 1) settle_least();
  while (resting_.size() > kMaxResting) {
    tenants_.erase(resting_.front());
    resting_.pop_front();
  }
  return any;
}

Instant FairShares::next_change() const {
  const Instant hurry = in_a_hurry_ > 0 || hurry_until_ == kNoHurry ? kNever : hurry_until_;
  if (lingering_.empty()) return hurry;
  return std::min(hurry, tenants_.at(lingering_.front()).rests_since + kLinger);
}

void FairShares::hurry_began(Priority priority) {
  if (priority != Priority::kBatch) ++in_a_hurry_;
}

void FairShares::hurry_ended(Priority priority, Instant now) {
  if (priority == Priority::kBatch) return;
  DROVER_ASSERT(in_a_hurry_ > 0);
  --in_a_hurry_;
  hurry_until_ = now + kLinger;
}

void FairShares::queued(TenantId id, Priority priority) {
  ++active_one(id).waiting;
  hurry_began(priority);
}

void FairShares::left_queue(TenantId id, Priority priority, Instant now) {
  Tenant& tenant = tenants_.at(id);
  DROVER_ASSERT(tenant.waiting > 0);
  --tenant.waiting;
  hurry_ended(priority, now);
  rest(id, tenant, now);
}

void FairShares::began(TenantId id, Priority priority, double tokens) {
  Tenant& tenant = active_one(id);
  ++tenant.running;
  ++running_;
  hurry_began(priority);
  charge(id, tenant, tokens);
}

void FairShares::correct(TenantId id, double tokens) { charge(id, tenants_.at(id), tokens); }

void FairShares::charge(TenantId id, Tenant& tenant, double tokens) {
  tenant.had = std::max(0.0, tenant.had + tokens);
  if (!tenant.active) return;
  ++changes_;
  if (tenant.had < tenant.key) sort_in(id, tenant);
  if (by_had_.size() > 1) settle_least();
}

void FairShares::ended(TenantId id, Priority priority, Instant now) {
  Tenant& tenant = tenants_.at(id);
  DROVER_ASSERT(tenant.running > 0);
  --tenant.running;
  --running_;
  ++changes_;
  hurry_ended(priority, now);
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

bool FairShares::leaves_last_slot(TenantId id, Priority priority) const {
  if (priority == Priority::kBatch && hurry()) return true;
  if (!above_share(id)) return false;
  const auto least = by_had_.begin();
  return least->second != id || least->first >= std::next(least)->first;
}

}  // namespace drover::core
