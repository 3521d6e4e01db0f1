#pragma once
// Text to a valid Config, or to every reason why not: all problems are reported at once, each with
// its place. A problem in one value leaves that value at its default and does not hide the others.

#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace drover::config {

// One sentence for a person: what, where, what to do about it.
struct Problem {
  std::string source;  // a file's name, "--listen", "DROVER_LISTEN"; empty: what holds by default
  int line = 0;        // counted from 1; 0: the source as a whole
  int column = 0;
  std::string message;

  // "drover.yaml:3:9: …", "--policy: …".
  std::string render() const;
  friend bool operator==(const Problem&, const Problem&) = default;
};

struct LoadResult {
  Config config;                  // valid only when ok()
  std::vector<Problem> errors;    // in the order of the text; at most kMaxProblems and one more
  std::vector<Problem> warnings;  // fine to run with, better not
  bool ok() const { return errors.empty(); }
};

inline constexpr std::size_t kMaxProblems = 50;  // more would scroll the first one away

// Reads one file's text. `file_name` appears in problems only. Never throws; empty text gives the
// defaults. See overlay.h for the environment and flags on top.
LoadResult load(std::string_view text, std::string_view file_name);

}  // namespace drover::config
