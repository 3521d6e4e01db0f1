#pragma once
// What drover answers itself, for the fleet as a whole, from the latest snapshot.

#include <optional>
#include <string>

#include "base/result.h"
#include "core/fleet.h"
#include "gateway/routes.h"
#include "gateway/settings.h"

namespace drover::gateway {

struct FleetAnswer {
  std::string_view content_type;
  std::string body;
};

// Errors: kUnavailable when nothing is known yet of any instance: an empty list would be a lie that
// makes clients download models. Of the settings only aliases matter.
Result<FleetAnswer> answer_for_fleet(Treatment treatment, const core::FleetView& fleet,
                                     const Settings& settings);

}  // namespace drover::gateway
