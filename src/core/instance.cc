#include "core/instance.h"

#include <algorithm>

namespace drover::core {
namespace {

// Catalogues are kept sorted by name: this is asked for every instance and request.
const InstalledModel* find(const Catalogue* catalogue, const ModelName& model) {
  if (catalogue == nullptr) return nullptr;
  const auto found = std::lower_bound(
      catalogue->begin(), catalogue->end(), model,
      [](const InstalledModel& entry, const ModelName& name) { return entry.name < name; });
  return found != catalogue->end() && found->name == model ? &*found : nullptr;
}

}  // namespace

HealthState Instance::shown_state() const {
  return draining ? HealthState::kDraining : health.state();
}

std::string Instance::shown_reason() const {
  if (!draining) return health.reason();
  if (health.reason().empty()) return "drained by an operator";
  return "drained by an operator; " + health.reason();
}

bool Instance::lists(const ModelName& model) const {
  return find(catalogue.get(), model) != nullptr;
}

bool Instance::has_loaded(const ModelName& model) const {
  if (!residency || residency->empty()) return false;
  const InstalledModel* installed = find(catalogue.get(), model);
  return std::any_of(residency->begin(), residency->end(), [&](const LoadedModel& loaded) {
    const bool same_weights =
        installed != nullptr && !loaded.digest.empty() && loaded.digest == installed->digest;
    return loaded.name == model || same_weights;
  });
}

}  // namespace drover::core
