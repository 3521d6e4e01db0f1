#pragma once
// For tests only: what Go, and so Ollama, reads in the same bytes.

#include <string>
#include <string_view>
#include <vector>

namespace drover::wire {

bool has_go();
// The lines of test/go_json about these inputs, in order; `mode` is "json" or "form". Runs in the
// root of the tree, where ctest starts the tests.
std::vector<std::string> ask_go(const std::string& mode, const std::vector<std::string>& inputs);

// Two digits a byte, as its lines have them.
std::string in_hex(std::string_view text);

}  // namespace drover::wire
