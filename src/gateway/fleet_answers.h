#pragma once
// What drover answers itself, for the fleet as a whole, from the latest snapshot.

#include <optional>
#include <string>

#include "base/result.h"
#include "core/fleet.h"
#include "gateway/routes.h"

namespace drover::gateway {

struct FleetAnswer {
  std::string_view content_type;
  std::string body;
};

// Errors: kUnavailable when nothing is known yet of any instance: an empty list would be a lie that
// makes clients download models.
Result<FleetAnswer> answer_for_fleet(Treatment treatment, const core::FleetView& fleet);

}  // namespace drover::gateway
