#include "histogram.h"

#include <algorithm>
#include <bit>

namespace drover::bench {

// Values below 256 have a bucket each. Above, the top nine bits of a value pick its bucket.
std::size_t Histogram::bucket_of(std::uint64_t ns) {
  ns = std::min(ns, (std::uint64_t{1} << kMostBits) - 1);
  if (ns < (1U << kBits)) return ns;
  const unsigned shift = static_cast<unsigned>(std::bit_width(ns)) - kBits - 1;
  return (std::size_t{shift} << kBits) + static_cast<std::size_t>(ns >> shift);
}

double Histogram::lower_edge(std::size_t bucket) {
  if (bucket < (1U << kBits)) return static_cast<double>(bucket);
  const std::size_t shift = (bucket >> kBits) - 1;
  const std::size_t top = bucket - (shift << kBits);
  return static_cast<double>(std::uint64_t{top} << shift);
}

void Histogram::add(std::uint64_t ns) {
  ++buckets_[bucket_of(ns)];
  ++count_;
}

double Histogram::quantile(double share) const {
  if (count_ == 0) return 0;
  const double wanted = share * static_cast<double>(count_);
  double seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    const double here = buckets_[i];
    if (here > 0 && seen + here >= wanted) {
      const double within = (wanted - seen) / here;
      return lower_edge(i) + within * (lower_edge(i + 1) - lower_edge(i));
    }
    seen += here;
  }
  return lower_edge(buckets_.size() - 1);
}

}  // namespace drover::bench
