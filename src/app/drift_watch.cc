#include "app/drift_watch.h"

#include <string_view>

#include "core/drift.h"

namespace drover::app {

void DriftWatch::look(const core::FleetView& fleet) {
  std::vector<ModelName> drifted = core::drifted_models(fleet);
  if (drifted == known_) return;
  known_ = std::move(drifted);
  if (known_.empty()) {
    log_.info("models agree again", {});
    return;
  }
  log_.warn("models differ between instances",
            {{"models", std::uint64_t{known_.size()}},
             {"first", std::string_view(known_.front().text())},
             {"remedy", std::string_view("pull it again, see docs/models.md")}});
}

}  // namespace drover::app
