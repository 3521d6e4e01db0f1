#pragma once
// `drover logs`: what supervised instances wrote, and with --follow what they write.

#include "app/cli.h"
#include "config/discover.h"

namespace drover::app {

// Prints as it reads; the answer is the exit code. --follow ends with SIGINT, SIGTERM, or when
// nobody reads standard output any more.
int run_logs(const cli::LogsCommand& command, const config::Environment& environment);

}  // namespace drover::app
