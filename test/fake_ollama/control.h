#pragma once
// The control endpoint, for tests and demonstrations. No fault ever touches it.
//
//   POST   /fake/fault   add a fault (faults.h)        DELETE /fake/fault   clear all of them
//   GET    /fake/state   what happened (state_json)    POST   /fake/exit    end the process
//   POST   /fake/options change "tokens", "token_ms", "load_ms", "prefill_ms_per_kb", "echo" (0, 1)

#include <string>

#include "fake_ollama/state.h"

namespace drover::fake {

void answer_control(State& state, Connection& connection, const Request& request);

// Empty, or what is wrong with the fault. A crash spares the connection `asker` (may be null).
std::string inject(State& state, const std::string& fault_json, const Connection* asker);

// One JSON object:
//   name version seed uptime_ns; requests completed cancelled tokens fetched (bytes from the
//   registry) loads loads_thrown_away evictions running most_running waiting faults_taken;
//   connections accepted; loading (a name or null) loaded [names]; routes {path: count}; last
//   {path: request} last_inference request|null with request = {method, path, headers {lower case
//   name: value}, body_bytes, body}; cancels [{ns since start, unix_ns, path, phase, tokens}] (the
//   last 1000); faults [pending]
std::string state_json(const State& state);

}  // namespace drover::fake
