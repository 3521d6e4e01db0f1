#pragma once
// What the simulated models say. The answer is a function of the seed and the question: word i is
// kWords[(start + i * stride) % 64], where h = FNV-1a-64(question) xor (seed * 0x9E3779B97F4A7C15),
// start = h % 64 and stride = (h / 64 % 32) * 2 + 1. So one lost or doubled token is seen at once,
// two instances of one seed give the same text, and a program in any language can compute it.
//
// A question that begins with "echo:" gets the rest of itself back, word by word.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace drover::fake {

std::uint64_t fnv1a(std::string_view text);
std::string hex(std::uint64_t value, int digits);

class Words {
 public:
  Words(std::uint64_t seed, std::string_view question, bool echo);
  // How many an echo has; `otherwise` for made-up text, which never ends by itself.
  std::size_t natural_length(std::size_t otherwise) const;
  // Token i as it is streamed: all but the first begin with a space.
  std::string_view token(std::size_t i) const;

 private:
  std::vector<std::string> echoed_;
  bool echo_ = false;
  std::uint64_t start_ = 0;
  std::uint64_t stride_ = 1;
};

// The whole text of `tokens` tokens.
std::string answer_text(std::uint64_t seed, std::string_view question, std::size_t tokens);

// A unit vector made from the seed and the text.
inline constexpr std::size_t kEmbeddingDimension = 16;
std::vector<float> embedding(std::uint64_t seed, std::string_view text, std::size_t dimension);

// Little-endian floats in base64, as encoding_format=base64 wants them.
std::string base64_floats(const std::vector<float>& values);

}  // namespace drover::fake
