#pragma once
// The body of GET /api/v1/status: what `drover status` and dashboards read.

#include <string>
#include <string_view>

#include "base/time.h"
#include "core/fleet.h"

namespace drover::exporter {

struct StatusFacts {
  std::string_view version;  // of drover
  std::string listen;        // the clients' addresses
  Instant now{};
  Instant started{};
};

std::string status_json(const core::FleetView& fleet, const StatusFacts& facts);

// Its "gpus" alone, for when no drover runs that could say more.
std::string gpus_json(const GpuReport& gpus);

}  // namespace drover::exporter
