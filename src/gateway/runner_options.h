#pragma once
// The load-time options of a request, written into its kept body as the fleet decided: the one
// place where a body is changed for the instance that it goes to.

#include "core/variants.h"
#include "gateway/exchange.h"

namespace drover::gateway {

// Anew for each attempt; whatever an earlier one changed is as it was sent again.
void set_runner_options(KeptRequest& kept, const core::VariantOrder& order);

}  // namespace drover::gateway
