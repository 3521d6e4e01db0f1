#pragma once
// The findings for people, and for programs.

#include <span>
#include <string>
#include <vector>

#include "results.h"

namespace drover::bench {

// What a run was, besides its samples.
struct Setting {
  std::string date;  // RFC 3339, UTC
  std::string command;
  std::string machine;  // its processor
  std::string kernel;
  std::string revision;                                       // of the sources
  std::vector<std::pair<std::string, std::string>> versions;  // of each peer
  std::size_t cores = 0;
  unsigned rounds = 0;
  double seconds = 0;
};

std::string table(std::span<const Sample> samples, std::span<const Finding> all);
std::string json(const Setting& setting, std::span<const Sample> samples,
                 std::span<const Finding> all);
// One line: the medians only, to be kept.
std::string history_line(const Setting& setting, std::span<const Finding> all);

}  // namespace drover::bench
