#pragma once
// Model management: a list of names that pull, copy, create and delete change. No bytes are kept.

#include "fake_ollama/state.h"
#include "net/task.h"

namespace drover::fake {

net::Task<void> answer_store(State& state, Connection& connection, const Request& request,
                             Route route);

}  // namespace drover::fake
