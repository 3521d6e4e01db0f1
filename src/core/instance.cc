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

// While an operator's restart runs, that the old process goes away is no news. After a hang or a
// fallback to the CPU it is the illness that people want to see.
HealthState Instance::shown_state() const {
  const bool wanted = restart.under_way() && restart.cause() != RestartCause::kHang;
  return draining || wanted ? HealthState::kDraining : health.state();
}

std::string Instance::shown_reason() const {
  if (restart.under_way()) {
    if (restart.cause() == RestartCause::kHang) return health.reason() + "; is being restarted";
    return "is being restarted: " + restart.reason();
  }
  if (!draining) return health.reason();
  if (health.reason().empty()) return "drained by an operator";
  return "drained by an operator; " + health.reason();
}

bool Instance::are_one(const ModelName& model, const ModelName& other) const {
  if (model == other) return true;
  const InstalledModel* const one = installed(model);
  if (one == nullptr || one->digest.empty()) return false;
  const InstalledModel* const two = installed(other);
  return two != nullptr && two->digest == one->digest;
}

bool Instance::lists(const ModelName& model) const { return installed(model) != nullptr; }

// One choice asks for the same name several times at each instance.
const InstalledModel* Instance::installed(const ModelName& model) const {
  const bool known = found_last_ != nullptr && found_in_ == catalogue && found_last_->name == model;
  if (known) return found_last_;
  const InstalledModel* const found = find(catalogue.get(), model);
  if (found == nullptr) return nullptr;
  if (found_in_ != catalogue) found_in_ = catalogue;
  return found_last_ = found;
}

const LoadedModel* Instance::loaded_entry(const ModelName& model) const {
  if (!residency || residency->empty()) return nullptr;
  const auto named = std::ranges::find(*residency, model, &LoadedModel::name);
  if (named != residency->end()) return &*named;
  // Another name may stand for the same weights.
  const InstalledModel* entry = installed(model);
  if (entry == nullptr || entry->digest.empty()) return nullptr;
  const auto same = std::ranges::find(*residency, entry->digest, &LoadedModel::digest);
  return same == residency->end() ? nullptr : &*same;
}

}  // namespace drover::core
