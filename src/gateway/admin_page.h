#pragma once
// The plain page of the admin listener: tables of instances, of their processes and of GPUs,
// readable in a text browser, no script.

#include <string>
#include <string_view>

#include "base/time.h"
#include "core/fleet.h"

namespace drover::gateway {

struct PageFacts {
  std::string_view version;  // of drover
  std::string_view listen;   // the clients' address
  Instant now{};
  std::int64_t requests_active = 0;
};

std::string admin_page(const core::FleetView& fleet, const PageFacts& facts);

}  // namespace drover::gateway
