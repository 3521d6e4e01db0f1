#include "core/drift.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>

namespace drover::core {

std::vector<ModelName> drifted_models(const FleetView& fleet) {
  std::unordered_map<ModelName, std::string_view> digests;
  std::vector<ModelName> drifted;
  for (const BackendView& backend : fleet.backends) {
    if (!backend.catalogue) continue;
    for (const InstalledModel& model : *backend.catalogue) {
      const auto [known, added] = digests.try_emplace(model.name, model.digest);
      if (!added && known->second != model.digest) drifted.push_back(model.name);
    }
  }
  std::sort(drifted.begin(), drifted.end());
  drifted.erase(std::unique(drifted.begin(), drifted.end()), drifted.end());
  return drifted;
}

}  // namespace drover::core
