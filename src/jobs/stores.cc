#include "jobs/stores.h"

#include <algorithm>

namespace drover::jobs {

bool answers(const core::BackendView& instance) {
  return instance.health == core::HealthState::kUp ||
         instance.health == core::HealthState::kProbation ||
         instance.health == core::HealthState::kDraining;
}

const Member* writer_of(const Store& store, const core::FleetView& fleet,
                        const std::vector<BackendId>& passed_over) {
  for (const Member& member : store.members) {
    const bool tried =
        std::find(passed_over.begin(), passed_over.end(), member.id) != passed_over.end();
    if (!tried && answers(fleet.backends[member.id.value])) return &member;
  }
  return nullptr;
}

Has has_model(const Store& store, const core::FleetView& fleet, const ModelName& model) {
  Has has = Has::kUnknown;
  for (const Member& member : store.members) {
    const auto& catalogue = fleet.backends[member.id.value].catalogue;
    if (!catalogue) continue;
    has = Has::kNo;
    const bool listed = std::any_of(catalogue->begin(), catalogue->end(),
                                    [&](const InstalledModel& each) { return each.name == model; });
    if (listed) return Has::kYes;
  }
  return has;
}

}  // namespace drover::jobs
