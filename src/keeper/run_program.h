#pragma once
// Runs a short program to its end: systemctl and its kin, for verbs that wait anyway. What runs
// beside a loop is net/child_process.

#include <string>
#include <vector>

#include "base/result.h"

namespace drover::keeper {

// argv[0] is looked for in PATH. Returns its standard output. Error kSystem: it could not be
// started or did not end with 0; the message has the command and what it said.
Result<std::string> run_program(const std::vector<std::string>& argv);

}  // namespace drover::keeper
