#pragma once
// The verb `demo`: the product's promise in less than a minute, without a GPU.

#include "app/cli.h"

namespace drover::app {

// Starts three simulated instances and drover in front of them, all on loopback, loads them, kills
// one, and tells what happened. Ends everything it started. The exit code.
int run_demo(const cli::DemoCommand& command);

}  // namespace drover::app
