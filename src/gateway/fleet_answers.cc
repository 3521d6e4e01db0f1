#include "gateway/fleet_answers.h"

#include <vector>

#include "base/check.h"
#include "gateway/aliases.h"
#include "wire/catalogue.h"
#include "wire/dialect.h"

namespace drover::gateway {
namespace {

constexpr std::string_view kJson = "application/json; charset=utf-8";

Error nothing_known() {
  return {ErrorKind::kUnavailable, Origin::kSelf, Retry::kNever,
          "no instance has answered yet; see 'drover status'"};
}

std::vector<const core::Catalogue*> known_catalogues(const core::FleetView& fleet) {
  std::vector<const core::Catalogue*> known;
  for (const core::BackendView& backend : fleet.backends) {
    if (backend.catalogue) known.push_back(backend.catalogue.get());
  }
  return known;
}

// Loaded models of instances that answer: what a dead one had loaded is gone with it.
std::string loaded_models(const core::FleetView& fleet) {
  std::vector<wire::InstanceModels> lists;
  for (const core::BackendView& backend : fleet.backends) {
    const bool answers = backend.health == core::HealthState::kUp ||
                         backend.health == core::HealthState::kProbation ||
                         backend.health == core::HealthState::kDraining;
    if (answers && backend.residency) lists.push_back({backend.name, backend.residency.get()});
  }
  return wire::merge_ps(lists);
}

// The lowest: a client that asks wants to know what it may rely on.
Result<FleetAnswer> version_of(const core::FleetView& fleet) {
  std::string_view lowest;
  for (const core::BackendView& backend : fleet.backends) {
    if (backend.version.empty()) continue;
    lowest = lowest.empty() ? std::string_view(backend.version)
                            : wire::lower_version(lowest, backend.version);
  }
  if (lowest.empty()) return nothing_known();
  // The second member tells a drover from an Ollama; clients ignore what they do not know.
  return FleetAnswer{kJson, "{\"version\":" + wire::json_quote(lowest) + ",\"drover\":true}"};
}

}  // namespace

Result<FleetAnswer> answer_for_fleet(Treatment treatment, const core::FleetView& fleet,
                                     const Settings& settings) {
  if (treatment == Treatment::kAlive) {
    return FleetAnswer{"text/plain; charset=utf-8", "Ollama is running"};
  }
  if (treatment == Treatment::kVersion) return version_of(fleet);
  std::vector<const core::Catalogue*> stores = known_catalogues(fleet);
  if (stores.empty()) return nothing_known();
  const core::Catalogue aliases = listed_aliases(fleet, settings);
  stores.push_back(&aliases);
  switch (treatment) {
    case Treatment::kTags:
      return FleetAnswer{kJson, wire::merge_tags(stores)};
    case Treatment::kModels:
      return FleetAnswer{"application/json", wire::models_list(stores)};
    case Treatment::kPs:
      return FleetAnswer{kJson, loaded_models(fleet)};
    default:
      break;
  }
  DROVER_ASSERT(!"a relayed route has no fleet answer");
  return nothing_known();
}

}  // namespace drover::gateway
