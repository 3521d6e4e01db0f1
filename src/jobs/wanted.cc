#include "jobs/wanted.h"

#include <fmt/format.h>

#include <algorithm>

#include "wire/dialect.h"

namespace drover::jobs {
namespace {

bool has_loaded(const core::BackendView& instance, const ModelName& model) {
  return std::ranges::find(*instance.residency, model, &LoadedModel::name) !=
         instance.residency->end();
}

bool has_installed(const core::BackendView& instance, const ModelName& model) {
  return std::ranges::find(*instance.catalogue, model, &InstalledModel::name) !=
         instance.catalogue->end();
}

// It answers, and what it has is known.
bool is_open(const core::BackendView& instance) {
  return answers(instance) && instance.health != core::HealthState::kDraining &&
         instance.catalogue && instance.residency;
}

std::size_t target(const Wanted& wanted, const std::vector<Store>& stores) {
  return std::min(wanted.stores.value_or(0), stores.size());
}

std::size_t holders(const Wanted& wanted, const std::vector<Store>& stores,
                    const core::FleetView& fleet, bool or_unknown) {
  return static_cast<std::size_t>(std::ranges::count_if(stores, [&](const Store& store) {
    const Has has = has_model(store, fleet, wanted.model);
    return has == Has::kYes || (or_unknown && has == Has::kUnknown);
  }));
}

bool must_be_fetched(const Wanted& wanted, const std::vector<Store>& stores,
                     const core::FleetView& fleet) {
  if (holders(wanted, stores, fleet, true) >= target(wanted, stores)) return false;
  // Somebody who lacks it is there to fetch it.
  return std::ranges::any_of(stores, [&](const Store& store) {
    return has_model(store, fleet, wanted.model) == Has::kNo &&
           writer_of(store, fleet, {}) != nullptr;
  });
}

std::size_t loaded_on(const Wanted& wanted, const core::FleetView& fleet) {
  return static_cast<std::size_t>(
      std::ranges::count_if(fleet.backends, [&](const core::BackendView& instance) {
        return answers(instance) && instance.residency && has_loaded(instance, wanted.model);
      }));
}

// Could load it and has not; the least busy first.
std::vector<const core::BackendView*> candidates(const Wanted& wanted,
                                                 const core::FleetView& fleet) {
  std::vector<const core::BackendView*> out;
  for (const core::BackendView& instance : fleet.backends) {
    const bool could = is_open(instance) && has_installed(instance, wanted.model) &&
                       instance.placement != core::Placement::kSpanning;
    if (could && !has_loaded(instance, wanted.model)) out.push_back(&instance);
  }
  std::ranges::stable_sort(out, {}, [](const core::BackendView* instance) {
    return std::pair(instance->residency->size(), instance->in_flight);
  });
  return out;
}

bool is_pinned(const Wanted& wanted, BackendId instance) {
  return std::ranges::find(wanted.pinned, instance) != wanted.pinned.end();
}

}  // namespace

std::vector<Lack> lacking(const std::vector<Wanted>& wanted, const std::vector<Store>& stores,
                          const core::FleetView& fleet) {
  std::vector<Lack> out;
  for (const Wanted& each : wanted) {
    if (each.stores && must_be_fetched(each, stores, fleet)) out.push_back({&each, std::nullopt});
    if (each.loaded == 0 && each.pinned.empty()) continue;
    std::size_t loaded = loaded_on(each, fleet);
    const std::vector<const core::BackendView*> could = candidates(each, fleet);
    for (const core::BackendView* instance : could) {
      if (!is_pinned(each, instance->id)) continue;
      out.push_back({&each, instance->id});
      ++loaded;
    }
    for (const core::BackendView* instance : could) {
      if (loaded >= each.loaded) break;
      if (is_pinned(each, instance->id)) continue;
      out.push_back({&each, instance->id});
      ++loaded;
    }
  }
  return out;
}

std::string wanted_json(const std::vector<Wanted>& wanted, const std::vector<Store>& stores,
                        const core::FleetView& fleet) {
  std::string out = "{\"models\":[";
  for (const Wanted& each : wanted) {
    if (&each != wanted.data()) out += ',';
    const std::string in_stores =
        each.stores ? fmt::format("{{\"wanted\":{},\"have\":{}}}", target(each, stores),
                                  holders(each, stores, fleet, false))
                    : "null";
    out += fmt::format("{{\"name\":{},\"stores\":{},\"loaded\":{{\"wanted\":{},\"have\":{}}}}}",
                       wire::json_quote(each.shown), in_stores,
                       std::max(each.loaded, each.pinned.size()), loaded_on(each, fleet));
  }
  return out + "]}\n";
}

}  // namespace drover::jobs
