#include "fake_ollama/text.h"

#include <array>
#include <cmath>
#include <cstring>

#include "base/rng.h"

namespace drover::fake {
namespace {

// Each with its leading space, so that a token is a view. None is a prefix of another: a lost piece
// of a word can not make a different valid text.
constexpr std::array<std::string_view, 64> kWords = {
    " the",     " river",  " carries", " small",   " stones",  " under",   " quiet",     " hills",
    " while",   " seven",  " herons",  " watch",   " along",   " banks",   " where",     " green",
    " reeds",   " bend",   " before",  " wind",    " clouds",  " gather",  " slowly",    " over",
    " distant", " fields", " and",     " farmers", " mend",    " old",     " fences",    " with",
    " copper",  " wire",   " their",   " dogs",    " chase",   " falling", " leaves",    " down",
    " muddy",   " lanes",  " toward",  " barns",   " full",    " of",      " yellow",    " straw",
    " night",   " comes",  " early",   " lamps",   " glow",    " inside",  " kitchens",  " bread",
    " cools",   " near",   " open",    " windows", " someone", " hums",    " forgotten", " songs"};

constexpr std::uint64_t kSeedFactor = 0x9E3779B97F4A7C15ULL;

}  // namespace

std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t h = 0xcbf29ce484222325ULL;
  for (unsigned char c : text) h = (h ^ c) * 0x100000001b3ULL;
  return h;
}

std::string hex(std::uint64_t value, int digits) {
  std::string out(static_cast<std::size_t>(digits), '0');
  for (int i = digits - 1; i >= 0; --i, value >>= 4) {
    out[static_cast<std::size_t>(i)] = "0123456789abcdef"[value & 15];
  }
  return out;
}

Words::Words(std::uint64_t seed, std::string_view question, bool echo) {
  constexpr std::string_view kEcho = "echo:";
  if (question.starts_with(kEcho)) {
    echo = true;
    question.remove_prefix(kEcho.size());
    if (question.starts_with(' ')) question.remove_prefix(1);
  }
  echo_ = echo;
  if (echo_) {
    // Cut before each space: the tokens joined are the question, byte for byte.
    for (std::size_t from = 0; from < question.size();) {
      std::size_t to = question.find(' ', from + 1);
      if (to == std::string_view::npos) to = question.size();
      echoed_.emplace_back(question.substr(from, to - from));
      from = to;
    }
    return;
  }
  const std::uint64_t h = fnv1a(question) ^ (seed * kSeedFactor);
  start_ = h % kWords.size();
  stride_ = h / kWords.size() % 32 * 2 + 1;
}

std::size_t Words::natural_length(std::size_t otherwise) const {
  return echo_ ? echoed_.size() : otherwise;
}

std::string_view Words::token(std::size_t i) const {
  if (echo_) return i < echoed_.size() ? std::string_view(echoed_[i]) : std::string_view();
  std::string_view word = kWords[(start_ + i * stride_) % kWords.size()];
  if (i == 0) word.remove_prefix(1);
  return word;
}

std::string answer_text(std::uint64_t seed, std::string_view question, std::size_t tokens) {
  const Words words(seed, question, false);
  std::string out;
  for (std::size_t i = 0; i < tokens; ++i) out += words.token(i);
  return out;
}

std::vector<float> embedding(std::uint64_t seed, std::string_view text, std::size_t dimension) {
  Rng rng(fnv1a(text) ^ (seed * kSeedFactor));
  std::vector<float> values(dimension);
  double squares = 0;
  for (float& value : values) {
    value = static_cast<float>(rng.unit() * 2 - 1);
    squares += static_cast<double>(value) * value;
  }
  const double length = squares > 0 ? std::sqrt(squares) : 1.0;
  for (float& value : values) value = static_cast<float>(value / length);
  return values;
}

std::string base64_floats(const std::vector<float>& values) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes(values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t have = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (k < have ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += k <= have ? kAlphabet[group >> (18 - 6 * k) & 63] : '=';
    }
  }
  return out;
}

}  // namespace drover::fake
