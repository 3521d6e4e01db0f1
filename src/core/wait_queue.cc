#include "core/wait_queue.h"

#include <algorithm>

#include "base/check.h"

namespace drover::core {

// --- Line ---

const WaitQueue::Waiting* WaitQueue::Line::next(const FairShares& shares, Who who,
                                                std::size_t passed_over) {
  std::size_t left = passed_over;
  for (auto each = order_.begin(); each != order_.end();) {
    Tenant& tenant = tenants_.at(each->second);
    const double had = shares.had(each->second);
    if (had > tenant.had) {
      const TenantId id = each->second;
      tenant.had = had;
      order_.erase(each);
      order_.emplace(had, id);
      each = order_.begin();  // nothing before it has changed: the few there are looked at again
      left = passed_over;
      continue;
    }
    if (who == Who::kWithinShare && shares.leaves_last_slot(each->second)) {
      ++each;
      continue;
    }
    if (left < tenant.requests.size()) {
      auto place = tenant.requests.begin();
      std::advance(place, left);
      return &**place;
    }
    left -= tenant.requests.size();
    ++each;
  }
  return nullptr;
}

std::span<WaitQueue::Waiting*> WaitQueue::Line::oldest_of(TenantId tenant,
                                                          std::span<Waiting*> into) {
  const auto found = tenants_.find(tenant);
  if (found == tenants_.end()) return {};
  std::size_t count = 0;
  for (const Place& place : found->second.requests) {
    if (count == into.size()) break;
    into[count++] = &*place;
  }
  return into.first(count);
}

std::size_t WaitQueue::Line::ahead_of(TenantId tenant) const {
  const auto own = tenants_.find(tenant);
  const std::size_t mine = own == tenants_.end() ? 0 : own->second.requests.size();
  std::size_t ahead = mine;
  for (const auto& [id, other] : tenants_) {
    if (id != tenant) ahead += std::min(other.requests.size(), mine + 1);
  }
  return ahead;
}

std::size_t WaitQueue::Line::counted(const FairShares& shares) const {
  if (shares.active() < 2) return waiting_.size();
  std::size_t count = 0;
  for (const auto& [id, tenant] : tenants_) {
    if (!shares.above_share(id)) count += std::min(tenant.requests.size(), kCountedOfTenant);
  }
  return count;
}

// --- WaitQueue ---

void WaitQueue::add(Waiting waiting, const FairShares& shares) {
  const RequestId request = waiting.request.request;
  const TenantId id = waiting.request.ask.tenant;
  const ModelIndex model = waiting.model;
  Line& line = lines_[model];
  const bool again = waiting.request.attempt > 0;
  waiting.position = again ? 1 : static_cast<std::uint32_t>(line.ahead_of(id)) + 1;
  bytes_ += waiting.request.ask.body_bytes;
  Line::Tenant& tenant = line.tenants_[id];
  if (!tenant.requests.empty()) line.order_.erase({tenant.had, id});
  tenant.had = shares.had(id);
  line.order_.emplace(tenant.had, id);
  const auto place =
      line.waiting_.insert(again ? line.waiting_.begin() : line.waiting_.end(), std::move(waiting));
  const auto of_tenant =
      tenant.requests.insert(again ? tenant.requests.begin() : tenant.requests.end(), place);
  const auto in_order = order_.emplace(place->until, request);
  const bool is_new = places_.emplace(request, Place{model, place, of_tenant, in_order}).second;
  DROVER_ASSERT(is_new);
}

std::optional<WaitQueue::Waiting> WaitQueue::remove(RequestId request) {
  const auto found = places_.find(request);
  if (found == places_.end()) return std::nullopt;
  const Place place = found->second;
  places_.erase(found);
  order_.erase(place.in_order);
  std::optional<Waiting> removed = std::move(*place.waiting);
  bytes_ -= removed->request.ask.body_bytes;
  const auto line = lines_.find(place.model);
  const auto tenant = line->second.tenants_.find(removed->request.ask.tenant);
  tenant->second.requests.erase(place.of_tenant);
  line->second.waiting_.erase(place.waiting);
  if (tenant->second.requests.empty()) {
    line->second.order_.erase({tenant->second.had, tenant->first});
    line->second.tenants_.erase(tenant);
  }
  if (line->second.waiting_.empty()) lines_.erase(line);
  return removed;
}

WaitQueue::Waiting WaitQueue::take(const Waiting& waiting) {
  std::optional<Waiting> taken = remove(RequestId(waiting.request.request));
  DROVER_ASSERT(taken);
  return *std::move(taken);
}

std::optional<WaitQueue::Waiting> WaitQueue::take_expired(Instant now) {
  return next_deadline() > now ? std::nullopt : remove(RequestId(order_.begin()->second));
}

WaitQueue::Line* WaitQueue::line(ModelIndex model) {
  const auto found = lines_.find(model);
  return found == lines_.end() ? nullptr : &found->second;
}

std::size_t WaitQueue::size(ModelIndex model) const {
  const auto found = lines_.find(model);
  return found == lines_.end() ? 0 : found->second.size();
}

std::size_t WaitQueue::counted(ModelIndex model, const FairShares& shares) const {
  const auto found = lines_.find(model);
  return found == lines_.end() ? 0 : found->second.counted(shares);
}

Instant WaitQueue::next_deadline() const { return order_.empty() ? kNever : order_.begin()->first; }

}  // namespace drover::core
