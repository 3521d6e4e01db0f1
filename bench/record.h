#pragma once
// A run as JSON: whole, with every sample, for programs; and as one line, to be kept.

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "results.h"

namespace drover::bench {

// What a run was, besides its samples.
struct Setting {
  std::string date;  // UTC, as RFC 3339 wants it
  std::string command;
  std::string processor;
  std::string kernel;
  std::string revision;                                       // of the sources; empty: unknown
  std::vector<std::pair<std::string, std::string>> versions;  // of the peers, by name
  std::size_t cores = 0;
  unsigned rounds = 0;
  double seconds = 0;
};
Setting setting_of(const RunOptions& options, const std::string& command);

std::string report_json(const LoadReport& report);
std::string json_document(const Setting& setting, std::span<const Sample> samples,
                          std::span<const Finding> all);
std::string history_line(const Setting& setting, std::span<const Finding> all);

}  // namespace drover::bench
