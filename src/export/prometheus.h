#pragma once
// Prometheus text format 0.0.4 from a snapshot. Names and labels are part of the contract with
// dashboards; a test reads the text back with a strict reader.

#include <string>
#include <string_view>

#include "core/fleet.h"
#include "engine/metrics.h"

namespace drover::exporter {

// Home loop only (it reads the metrics). `version` is drover's own.
std::string metrics_text(const core::FleetView& fleet, const engine::Metrics& metrics,
                         std::string_view version);

}  // namespace drover::exporter
