#include "core/ledger.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace drover::core {

namespace {

constexpr double kMemory = 30;  // seconds, of Site::busy

}  // namespace

void Ledger::count(Site& site, Instant now) {
  const double passed = to_seconds(now - site.counted);
  if (passed <= 0) return;
  site.counted = now;
  const double active = static_cast<double>(site.active.size());
  const double share = passed / (passed + kMemory);
  site.busy += share * ((active > 0 ? 1 : 0) - site.busy);
  site.models += share * (active - site.models);
  site.models_s += passed * static_cast<double>(std::max<std::size_t>(1, site.active.size()));
  for (Active& each : site.active) each.writing_s += passed * (each.running - each.reading);
}

Ledger::Open* Ledger::find(Site& site, LeaseId lease) {
  const auto found = std::ranges::find(site.leases, lease);
  return found == site.leases.end() ? nullptr : &site.open[found - site.leases.begin()];
}

Ledger::Active& Ledger::of(Site& site, ModelIndex model) {
  const auto found = std::ranges::find(site.active, model, &Active::model);
  if (found != site.active.end()) return *found;
  return site.active.emplace_back(Active{.model = model});
}

void Ledger::granted(BackendId backend, LeaseId lease, Open open, Instant now) {
  Site& site = sites_[backend.value];
  count(site, now);
  Active& active = of(site, open.model);
  open.granted = open.told_at = now;
  open.rank = ++active.running;
  open.behind = active.reading++;
  open.reading_models = -site.models_s;
  site.leases.push_back(lease);
  site.open.push_back(std::move(open));
}

const Ledger::Open* Ledger::first_byte(BackendId backend, LeaseId lease, Instant now) {
  Site& site = sites_[backend.value];
  Open* open = find(site, lease);
  if (open == nullptr || open->writes()) return nullptr;
  count(site, now);
  Active& active = of(site, open->model);
  --active.reading;
  open->first = open->told_at = now;
  open->reading_models += site.models_s;
  open->at_first = mark(site, active);
  return open;
}

void Ledger::progressed(BackendId backend, LeaseId lease, double tokens, Instant now) {
  Open* open = find(sites_[backend.value], lease);
  if (open == nullptr) return;
  open->told = static_cast<float>(tokens);
  open->told_at = now;
}

void Ledger::held_up(BackendId backend, LeaseId lease) {
  if (Open* open = find(sites_[backend.value], lease)) open->held_up = true;
}

std::optional<Ledger::Ended> Ledger::ended(BackendId backend, LeaseId lease, Instant now) {
  Site& site = sites_[backend.value];
  Open* open = find(site, lease);
  if (open == nullptr) return std::nullopt;
  count(site, now);
  Active& active = of(site, open->model);
  Ended ended{std::move(*open), mark(site, active)};
  if (!ended.open.writes()) --active.reading;
  if (--active.running == 0) {
    active = site.active.back();
    site.active.pop_back();
  }
  site.leases[open - site.open.data()] = site.leases.back();
  site.leases.pop_back();
  if (open != &site.open.back()) *open = std::move(site.open.back());
  site.open.pop_back();
  return ended;
}

const Ledger::Active* Ledger::active(BackendId backend, ModelIndex model) const {
  const std::vector<Active>& all = sites_[backend.value].active;
  const auto found = std::ranges::find(all, model, &Active::model);
  return found == all.end() ? nullptr : &*found;
}

void Ledger::pass(Instant now) {
  for (Site& site : sites_) count(site, now);
}

std::uint32_t Ledger::running(BackendId backend, ModelIndex model) const {
  const Active* found = active(backend, model);
  return found == nullptr ? 0 : found->running;
}

}  // namespace drover::core
