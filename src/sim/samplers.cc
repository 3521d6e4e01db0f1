#include "sim/samplers.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/check.h"

namespace drover::sim {
namespace {

double positive_unit(Rng& rng) { return 1.0 - rng.unit(); }  // in (0, 1]

// Marsaglia and Tsang's squeeze. A shape below 1 is lifted by one and bent back.
double gamma(Rng& rng, double shape) {
  if (shape < 1) return gamma(rng, shape + 1) * std::pow(positive_unit(rng), 1 / shape);
  const double d = shape - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = normal(rng);
    const double v = std::pow(1 + c * x, 3);
    if (v <= 0) continue;
    if (std::log(positive_unit(rng)) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

}  // namespace

double exponential(Rng& rng, double mean) { return -mean * std::log(positive_unit(rng)); }

// Box and Muller; the second value of the pair is thrown away, so that no state hides anywhere.
double normal(Rng& rng) {
  const double radius = std::sqrt(-2 * std::log(positive_unit(rng)));
  return radius * std::cos(2 * std::numbers::pi * rng.unit());
}

double Lognormal::sample(Rng& rng) const { return std::exp(mu + sigma * normal(rng)); }

double GammaGaps::sample(Rng& rng) const {
  if (variation == 1) return exponential(rng, 1);
  const double shape = 1 / (variation * variation);
  return gamma(rng, shape) / shape;
}

std::size_t geometric(Rng& rng, double stop) {
  std::size_t count = 1;
  while (rng.unit() >= stop) ++count;
  return count;
}

Zipf::Zipf(std::size_t count, double exponent) {
  DROVER_ASSERT(count > 0);
  double sum = 0;
  for (std::size_t rank = 0; rank < count; ++rank) {
    sum += std::pow(static_cast<double>(rank + 1), -exponent);
    cumulative_.push_back(sum);
  }
  for (double& each : cumulative_) each /= sum;
}

std::size_t Zipf::sample(Rng& rng) const {
  const auto found = std::upper_bound(cumulative_.begin(), cumulative_.end(), rng.unit());
  const auto rank = static_cast<std::size_t>(found - cumulative_.begin());
  return std::min(rank, cumulative_.size() - 1);
}

double Zipf::probability(std::size_t rank) const {
  return cumulative_[rank] - (rank == 0 ? 0 : cumulative_[rank - 1]);
}

}  // namespace drover::sim
