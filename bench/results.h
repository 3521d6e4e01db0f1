#pragma once
// From samples to figures. A ratio is taken within one round, where both saw the same machine; what
// is told is the median of those ratios and how far they spread, never a ratio of medians.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "run.h"

namespace drover::bench {

// Several values of one thing.
struct Spread {
  double median = 0;
  double least = 0;
  double most = 0;
  std::size_t count = 0;
};
std::optional<Spread> spread_of(std::vector<double> values);

// One measure of one peer.
struct Finding {
  const Measure* measure = nullptr;
  Peer peer;
  std::optional<Spread> value;  // none: no clean sample
  std::optional<Spread> ratio;  // to what it is compared with, in the same rounds
};

// Of every measure whose scenario was run, for every peer that was in it.
std::vector<Finding> findings(std::span<const Sample> samples);

enum class Verdict : std::uint8_t { kNone, kAim, kMust, kMissed, kUnknown };
// Of a drover: which bound it keeps; kNone for anything that has no bound to keep.
Verdict verdict_of(const Finding& finding);
std::string_view to_string(Verdict verdict);  // "aim met", "must met", "MISSED", "not known"

}  // namespace drover::bench
