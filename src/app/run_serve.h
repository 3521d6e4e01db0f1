#pragma once
// The verb `serve`: from the command line to a running server.

#include "app/cli.h"
#include "config/discover.h"

namespace drover::app {

// Runs until told to end; the exit code.
int run_serve(const cli::ServeCommand& command, const config::Environment& environment);

}  // namespace drover::app
