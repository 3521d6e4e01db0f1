#pragma once
// For fuzz targets only: cuts an input into pieces by chance that the input itself decides, so that
// a corpus file is nothing but the bytes of a message.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "base/rng.h"

namespace drover::wire {

class RandomPieces {
 public:
  explicit RandomPieces(std::string_view input) : rng_(hash(input)) {}

  // Mostly a few bytes, where the mistakes are; large inputs in at most some hundred pieces.
  std::size_t operator()(std::size_t rest) {
    const std::size_t most = rest > 2048 ? rest / 8 : 9;
    const std::size_t piece = 1 + rng_.below(most);
    return piece < rest ? piece : rest;
  }

 private:
  // FNV-1a.
  static std::uint64_t hash(std::string_view input) {
    std::uint64_t value = 0xcbf29ce484222325ULL;
    for (const char c : input) {
      value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    }
    return value;
  }
  Rng rng_;
};

// An oracle's voice: a crash is what a fuzzer notices.
inline void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

}  // namespace drover::wire
