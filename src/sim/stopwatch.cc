#include "sim/stopwatch.h"

#include <algorithm>
#include <cmath>

namespace drover::sim {
namespace {

const double kStep = std::log(1.02);

}  // namespace

void Stopwatch::took(Duration time) {
  const auto nanoseconds = static_cast<double>(std::max<Duration::rep>(1, time.count()));
  const auto step = static_cast<std::size_t>(std::log(nanoseconds) / kStep + 0.5);
  ++counts_[std::min(step, kSteps - 1)];
  ++count_;
}

double Stopwatch::quantile_us(double q) const {
  if (count_ == 0) return 0;
  const auto rank = static_cast<std::uint64_t>(q * static_cast<double>(count_ - 1));
  std::uint64_t passed = 0;
  std::size_t step = 0;
  while (step + 1 < kSteps && (passed += counts_[step]) <= rank) ++step;
  return std::exp(static_cast<double>(step) * kStep) / 1000;
}

}  // namespace drover::sim
