#pragma once
// The gateway process: what the keeper starts. Everything it has to know comes over the link.

#include <string>
#include <vector>

namespace drover::app {

// `arguments` are those after the verb. Returns the exit code.
int run_gateway(const std::vector<std::string>& arguments);

}  // namespace drover::app
