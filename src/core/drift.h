#pragma once
// Names that stand for different models on different instances: a pull that reached only some.

#include <vector>

#include "core/fleet.h"

namespace drover::core {

// By the catalogues as they are known, of instances that are away too. Sorted.
std::vector<ModelName> drifted_models(const FleetView& fleet);

}  // namespace drover::core
