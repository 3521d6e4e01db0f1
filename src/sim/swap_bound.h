#pragma once
// SwapBound: how many gigabytes of models have to be read, whoever decides who sits where, when
// requests are served in their planned order: that of their arrival if answers took no time.
//
// Picture a bookshelf of several boards and a list of the books that will be wanted, one after the
// other. Between two times that a book is wanted it either stays on the shelf or is fetched again.
// What stays at once has to fit on the boards: not more centimetres than the fullest boards would
// have, nor more folios, nor more of anything else that can be counted, when each board is filled
// as well as it can be. Nobody can do better than the best choice of what stays that keeps those
// rules, because every arrangement keeps them.
//
// That best choice is bounded from below by prices: see the source. A policy that lets requests
// wait for their like serves them in another order, and may do with less; so it does above the
// capacity.

#include <vector>

#include "sim/workload.h"

namespace drover::sim {

struct SwapProblem {
  struct Size {
    double vram_gb = 0;  // while it is loaded
    double file_gb = 0;  // to be read for each load
  };
  std::vector<double> memory_gb;  // of each GPU
  std::vector<Size> models;
  // In order. Precondition: each fits on one of the GPUs. At its instant the model is loaded,
  // whole, on one GPU.
  std::vector<ModelIndex> uses;
};
// All GPUs are empty before the first use.
SwapProblem swap_problem(const Fleet& fleet, const Workload& workload);

// Gigabytes: not more than the best of all schedules in that order reads.
double least_read_gb(const SwapProblem& problem);

}  // namespace drover::sim
