#pragma once
// Who may ask: Ollama's checks of Host and Origin. Both answer 403 with an empty body.

#include "fake_ollama/http.h"

namespace drover::fake {

// An instance on a loopback address answers only to names and addresses of its own machine or
// private network.
bool host_allowed(const Request& request, bool on_loopback);

// No Origin, the own one, or one of the defaults of OLLAMA_ORIGINS.
bool origin_allowed(const Request& request);

}  // namespace drover::fake
