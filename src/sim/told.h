#pragma once
// What the production scheduler would write down of a simulated fleet if it knew it: the true
// paces, in the form of its own estimates. A scheduler that reads this before the first request, as
// a daemon reads the notebook of its last life, has nothing to learn any more. What it then still
// guesses wrong is the form's fault: straight lines, one for each model on each instance.
//
// The form has no place for everything that is true. A prompt is read more slowly the more stands
// in front of it, and each token of context makes a step longer: both count as they do for the
// usual request of the traffic. Loads are those from disk, alone there.

#include "core/learned.h"
#include "sim/workload.h"

namespace drover::sim {

core::Learned told(const Fleet& fleet, const Workload& workload);

}  // namespace drover::sim
