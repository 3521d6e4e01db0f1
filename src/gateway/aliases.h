#pragma once
// Names of the operator's for models. A request that uses one is sent on with the name of the first
// model of its list that an instance which answers has; so the list is also a list of fallbacks.

#include "base/result.h"
#include "core/fleet.h"
#include "gateway/exchange.h"
#include "gateway/settings.h"

namespace drover::gateway {

// Which model of the alias shall serve now: the first that somebody who answers has, else the first
// that somebody has, else the first.
const std::string& chosen_model(const Alias& alias, const core::FleetView& fleet);

// The aliases as lists show them, each as the model that serves now; none where they are not to be
// listed, and none for which nobody has a model.
core::Catalogue listed_aliases(const core::FleetView& fleet, const Settings& settings);

// Puts the chosen model in place of an alias, in the exchange and in its kept body. Nothing happens
// to a request for any other model. Errors: kMalformed where an alias can not stand, in a form or
// as what an order changes; kSystem when the body could not be read back.
Result<void> resolve_alias(Exchange& exchange, const core::FleetView& fleet,
                           const Settings& settings);

}  // namespace drover::gateway
