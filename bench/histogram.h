#pragma once
// Counts durations in buckets whose width is at most 1/256 of their value: exact enough for every
// ratio here, without keeping millions of values.

#include <array>
#include <cstddef>
#include <cstdint>

namespace drover::bench {

class Histogram {
 public:
  void add(std::uint64_t ns);
  void clear() { *this = Histogram(); }
  std::uint64_t count() const { return count_; }
  // What the given share (0 to 1) of the values does not exceed; 0 when there are none.
  double quantile(double share) const;

 private:
  static constexpr unsigned kBits = 8;       // 256 buckets for each power of two
  static constexpr unsigned kMostBits = 40;  // 18 minutes; longer counts as that
  static std::size_t bucket_of(std::uint64_t ns);
  static double lower_edge(std::size_t bucket);

  std::array<std::uint32_t, (kMostBits - kBits + 2) << kBits> buckets_{};
  std::uint64_t count_ = 0;
};

}  // namespace drover::bench
