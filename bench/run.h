#pragma once
// A run: rounds of all scenarios, in each of which every peer has its turn. Every sample has a
// backend, a proxy and a client of its own, all fresh, and nothing else runs meanwhile.

#include <functional>
#include <string>
#include <vector>

#include "peers.h"
#include "scenarios.h"

namespace drover::bench {

struct RunOptions {
  std::vector<Peer> peers;
  std::vector<const Scenario*> chosen;
  unsigned rounds = 5;
  Timing timing;
  // Of a core: more work by others than this makes a sample worthless.
  double foreign_limit = 0.05;
  std::string configurations;
};

// Behind a name: with two IO loops.
inline constexpr std::string_view kTwoLoops = "-2loops";

struct Sample {
  const Scenario* scenario = nullptr;
  Peer peer;
  unsigned round = 0;
  unsigned attempt = 0;           // from 0; more when those before were disturbed
  double foreign = 0;             // of a core
  std::uint64_t interval_ns = 0;  // between two records of one stream
  bool clean = false;             // undisturbed, and every answer was right
  LoadReport report = {};
  std::string problem;  // of the first wrong answer, or of a peer that does not start
};

// Hears of every sample as it is taken.
using Tell = std::function<void(const Sample&)>;

std::vector<Sample> run_rounds(const RunOptions& options, const Tell& tell);

}  // namespace drover::bench
