#pragma once
// What an instance says about itself and its models.

#include "fake_ollama/state.h"

namespace drover::fake {

void answer_listing(State& state, Connection& connection, const Request& request, Route route);

}  // namespace drover::fake
