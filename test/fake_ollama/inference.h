#pragma once
// The story of one inference request: read it, get the model loaded, get a slot, prefill, answer.

#include "fake_ollama/state.h"
#include "net/task.h"

namespace drover::fake {

// Two spaces, as Ollama writes it.
inline constexpr std::string_view kBusyText =
    "server busy, please try again.  maximum pending requests exceeded";

net::Task<void> answer_inference(State& state, Connection& connection, const Request& request,
                                 Route route);

}  // namespace drover::fake
