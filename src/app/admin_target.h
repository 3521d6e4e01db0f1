#pragma once
// Which running drover a verb asks.

#include <chrono>
#include <string>

#include "app/cli.h"
#include "base/result.h"
#include "base/time.h"
#include "config/config.h"
#include "config/discover.h"

namespace drover::app {

inline constexpr Duration kAdminPatience = std::chrono::seconds(3);

struct AdminTarget {
  config::HostPort admin;
  bool named = false;   // by a flag or the environment, so nothing else will do
  std::string warning;  // what the operator should know about that; empty, or a line
};

// --admin, else DROVER_ADMIN, else what the configuration says.
Result<AdminTarget> admin_target(const cli::ConfigOptions& options,
                                 const config::Environment& environment);

// Why there was no answer, for a person.
std::string explain_no_answer(const config::HostPort& admin, const Error& error);

}  // namespace drover::app
