#pragma once
// Samplers: chance in the shapes that measured traffic has. Written out here because the
// distributions of the standard library differ from one library to the next, and a seed has to mean
// the same traffic everywhere.

#include <cstddef>
#include <vector>

#include "base/rng.h"

namespace drover::sim {

double exponential(Rng& rng, double mean);
double normal(Rng& rng);  // mean 0, deviation 1
// exp(mu + sigma * normal): what token counts of real traffic look like.
struct Lognormal {
  double mu = 0;
  double sigma = 1;
  double sample(Rng& rng) const;
};
// Mean 1; the coefficient of variation of the gaps between arrivals. 1 is Poisson traffic.
struct GammaGaps {
  double variation = 1;
  double sample(Rng& rng) const;
};
// 1, 2, 3, …, each as likely as the ones before allow: mean 1 / stop.
std::size_t geometric(Rng& rng, double stop);

// Ranks 0 to count-1, rank r with weight 1 / (r+1)^exponent.
class Zipf {
 public:
  Zipf(std::size_t count, double exponent);
  std::size_t sample(Rng& rng) const;
  double probability(std::size_t rank) const;

 private:
  std::vector<double> cumulative_;
};

}  // namespace drover::sim
