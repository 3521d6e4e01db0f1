#include "core/wait_queue.h"

#include <algorithm>

#include "base/check.h"

namespace drover::core {

// --- Line ---

std::list<WaitQueue::Line::Place>::iterator WaitQueue::Line::Band::add(Place place, Where where,
                                                                       const FairShares& shares) {
  const TenantId id = place->request.ask.tenant;
  Tenant& tenant = tenants[id];
  if (!tenant.requests.empty()) order.erase({tenant.had, id});
  tenant.had = shares.had(id);
  order.emplace(tenant.had, id);
  ++size;
  const bool front = where == Where::kFront;
  return tenant.requests.insert(front ? tenant.requests.begin() : tenant.requests.end(), place);
}

void WaitQueue::Line::Band::remove(std::list<Place>::iterator of_tenant) {
  const auto tenant = tenants.find((*of_tenant)->request.ask.tenant);
  tenant->second.requests.erase(of_tenant);
  --size;
  if (!tenant->second.requests.empty()) return;
  order.erase({tenant->second.had, tenant->first});
  tenants.erase(tenant);
}

// `left`: how many are still to be passed over; what is left of that when the band is at its end.
const WaitQueue::Waiting* WaitQueue::Line::Band::next(const FairShares& shares, Who who,
                                                      std::size_t& left,
                                                      std::vector<HeldBack>& held) {
  const std::size_t at_first = left;
  const std::size_t held_at_first = held.size();
  for (auto each = order.begin(); each != order.end();) {
    const TenantId id = each->second;
    Tenant& tenant = tenants.at(id);
    const double had = shares.had(id);
    if (had > tenant.had) {
      tenant.had = had;
      order.erase(each);
      order.emplace(had, id);
      each = order.begin();  // nothing before it has changed: the few there are looked at again
      left = at_first;
      held.resize(held_at_first);
      continue;
    }
    const Priority band = tenant.requests.front()->band;
    if (who == Who::kWithinShare && shares.leaves_last_slot(id, band)) {
      held.push_back({id, band});
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

const WaitQueue::Waiting* WaitQueue::Line::next(const FairShares& shares, Who who,
                                                std::size_t passed_over,
                                                std::vector<HeldBack>& held) {
  if (who == Who::kWithinShare) held.clear();
  for (Band& band : bands_) {
    const Waiting* const next = band.next(shares, who, passed_over, held);
    if (next != nullptr) return next;
  }
  return nullptr;
}

std::span<WaitQueue::Waiting*> WaitQueue::Line::alike(const Waiting& waiting,
                                                      std::span<Waiting*> into) {
  Band& same = band(waiting.band);
  const auto found = same.tenants.find(waiting.request.ask.tenant);
  if (found == same.tenants.end()) return {};
  std::size_t count = 0;
  for (const Place& place : found->second.requests) {
    if (count == into.size()) break;
    into[count++] = &*place;
  }
  return into.first(count);
}

std::size_t WaitQueue::Line::ahead_of(TenantId tenant, Priority priority) const {
  const auto level = static_cast<std::size_t>(priority);
  std::size_t ahead = 0;
  for (std::size_t above = 0; above < level; ++above) ahead += bands_[above].size;
  const Band& same = bands_[level];
  const auto own = same.tenants.find(tenant);
  const std::size_t mine = own == same.tenants.end() ? 0 : own->second.requests.size();
  ahead += mine;
  for (const auto& [id, other] : same.tenants) {
    if (id != tenant) ahead += std::min(other.requests.size(), mine + 1);
  }
  return ahead;
}

std::size_t WaitQueue::Line::counted(const FairShares& shares) const {
  const std::size_t batch = bands_[static_cast<std::size_t>(Priority::kBatch)].size;
  if (shares.active() < 2) return waiting_.size() - (shares.hurry() ? batch : 0);
  std::map<TenantId, std::size_t> each;
  for (std::size_t band = 0; band < kPriorities - (shares.hurry() ? 1 : 0); ++band) {
    for (const auto& [id, tenant] : bands_[band].tenants) each[id] += tenant.requests.size();
  }
  std::size_t count = 0;
  for (const auto& [id, waiting] : each) {
    if (!shares.above_share(id)) count += std::min(waiting, kCountedOfTenant);
  }
  return count;
}

// --- WaitQueue ---

void WaitQueue::add(Waiting waiting, const FairShares& shares) {
  const RequestId request = waiting.request.request;
  const TenantId tenant = waiting.request.ask.tenant;
  const ModelIndex model = waiting.model;
  Line& line = lines_[model];
  const bool again = waiting.request.attempt > 0;
  waiting.band = waiting.request.ask.priority;
  const std::size_t ahead = again ? 0 : line.ahead_of(tenant, waiting.band);
  waiting.position = static_cast<std::uint32_t>(ahead) + 1;
  bytes_ += waiting.request.ask.body_bytes;
  const auto where =
      line.waiting_.insert(again ? line.waiting_.begin() : line.waiting_.end(), std::move(waiting));
  const auto end = again ? Line::Band::Where::kFront : Line::Band::Where::kBack;
  ends_.emplace(where->until, request);
  of_band(where->band).emplace(where->since, request);
  Place place{model, where, line.band(where->band).add(where, end, shares)};
  plan_rise(request, place, where->since);
  const bool is_new = places_.emplace(request, place).second;
  DROVER_ASSERT(is_new);
}

void WaitQueue::plan_rise(RequestId request, Place& place, Instant now) {
  place.rises = kNever;
  if (place.waiting->band == Priority::kInteractive) return;
  place.rises = now + (place.waiting->until - now) / 2;
  rises_.emplace(place.rises, request);
}

std::vector<ModelIndex> WaitQueue::rise(Instant now, const FairShares& shares) {
  std::vector<ModelIndex> models;
  while (!rises_.empty() && rises_.begin()->first <= now) {
    const RequestId request = rises_.begin()->second;
    rises_.erase(rises_.begin());
    Place& place = places_.at(request);
    Line& line = lines_.at(place.model);
    Waiting& waiting = *place.waiting;
    line.band(waiting.band).remove(place.of_tenant);
    of_band(waiting.band).erase({waiting.since, request});
    waiting.band = static_cast<Priority>(static_cast<std::size_t>(waiting.band) - 1);
    place.of_tenant = line.band(waiting.band).add(place.waiting, Line::Band::Where::kBack, shares);
    of_band(waiting.band).emplace(waiting.since, request);
    plan_rise(request, place, now);
    models.push_back(place.model);
  }
  return models;
}

std::optional<WaitQueue::Waiting> WaitQueue::remove(RequestId request) {
  const auto found = places_.find(request);
  if (found == places_.end()) return std::nullopt;
  const Place place = found->second;
  places_.erase(found);
  ends_.erase({place.waiting->until, request});
  if (place.rises != kNever) rises_.erase({place.rises, request});
  of_band(place.waiting->band).erase({place.waiting->since, request});
  const auto line = lines_.find(place.model);
  line->second.band(place.waiting->band).remove(place.of_tenant);
  std::optional<Waiting> removed = std::move(*place.waiting);
  bytes_ -= removed->request.ask.body_bytes;
  line->second.waiting_.erase(place.waiting);
  if (line->second.waiting_.empty()) lines_.erase(line);
  return removed;
}

std::vector<RequestId> WaitQueue::newest_below(Priority band, std::size_t places,
                                               std::uint64_t bytes, std::size_t most) const {
  std::vector<RequestId> leaving;
  std::uint64_t freed = 0;
  for (std::size_t level = kPriorities - 1; level > static_cast<std::size_t>(band); --level) {
    for (auto each = by_band_[level].rbegin(); each != by_band_[level].rend(); ++each) {
      const RequestArrived& request = places_.at(each->second).waiting->request;
      if (request.attempt > 0) continue;
      if (leaving.size() == most) return {};
      leaving.push_back(each->second);
      freed += request.ask.body_bytes;
      if (leaving.size() >= places && freed >= bytes) return leaving;
    }
  }
  return {};
}

const WaitQueue::Waiting* WaitQueue::find(RequestId request) const {
  const auto found = places_.find(request);
  return found == places_.end() ? nullptr : &*found->second.waiting;
}

WaitQueue::Waiting WaitQueue::take(const Waiting& waiting) {
  std::optional<Waiting> taken = remove(RequestId(waiting.request.request));
  DROVER_ASSERT(taken);
  return *std::move(taken);
}

std::optional<WaitQueue::Waiting> WaitQueue::take_expired(Instant now) {
  if (ends_.empty() || ends_.begin()->first > now) return std::nullopt;
  return remove(RequestId(ends_.begin()->second));
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

Instant WaitQueue::next_deadline() const {
  const Instant ends = ends_.empty() ? kNever : ends_.begin()->first;
  return rises_.empty() ? ends : std::min(ends, rises_.begin()->first);
}

}  // namespace drover::core
