#pragma once
// What `drover prove` has found, for people and for programs.

#include <cstdint>
#include <string>
#include <vector>

#include "app/prove_load.h"
#include "app/prove_plan.h"

namespace drover::app {

struct GpuBusy {
  std::int64_t index = 0;
  double utilization = 0;  // 0 to 1, the mean of the readings during the window
};

struct ProvePhase {
  LoadResult load;
  std::vector<GpuBusy> gpus;  // of devices whose utilization can be read
};

struct Proof {
  ProvePlan plan;
  std::string drover;  // the address that all of them were asked at
  unsigned clients = 4;
  ProvePhase one;
  ProvePhase all;
  // Sentences why the numbers do not count; empty: they do.
  std::vector<std::string> spoiled;
};

// Moves what came from elsewhere than the measured instances out of the result, with a note; finds
// phases without a token. To be called once, before the others.
void judge(Proof& proof);

// How many times the tokens of one; 0 when one gave none.
double ratio(const Proof& proof);

std::string proof_text(const Proof& proof);
std::string proof_json(const Proof& proof);

}  // namespace drover::app
