#pragma once
// From a connection to the answers: which path means what, who may ask, what goes wrong first.

#include <memory>

#include "fake_ollama/state.h"
#include "net/task.h"

namespace drover::fake {

// The life of one connection.
net::Task<void> serve_connection(std::shared_ptr<State> state, std::unique_ptr<net::Stream> stream);

}  // namespace drover::fake
