#include "config/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace drover::config {
namespace {

constexpr std::size_t kLongestShown = 60;
constexpr std::size_t kLongestPath = 4096;    // Linux's own bound
constexpr std::size_t kLongestCompared = 64;  // no key is longer; keeps the table small

// Length of the UTF-8 character at the front, 0 when there is none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto tail = [&](std::size_t i) { return i < text.size() && (byte(i) & 0xC0) == 0x80; };
  if (byte(0) < 0x80) return 1;
  // C0, C1 and F5 up never begin a character; the second byte's bounds exclude overlong forms and
  // surrogates, and C2 80..9F are control characters that some terminals obey.
  if (byte(0) >= 0xC2 && byte(0) <= 0xDF && tail(1)) {
    return byte(0) == 0xC2 && byte(1) < 0xA0 ? 0 : 2;
  }
  if ((byte(0) & 0xF0) == 0xE0 && tail(1) && tail(2)) {
    if (byte(0) == 0xE0 && byte(1) < 0xA0) return 0;
    if (byte(0) == 0xED && byte(1) >= 0xA0) return 0;
    return 3;
  }
  if (byte(0) >= 0xF0 && byte(0) <= 0xF4 && tail(1) && tail(2) && tail(3)) {
    if (byte(0) == 0xF0 && byte(1) < 0x90) return 0;
    if (byte(0) == 0xF4 && byte(1) >= 0x90) return 0;
    return 4;
  }
  return 0;
}

// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours.
std::size_t distance(std::string_view a, std::string_view b) {
  const std::size_t width = b.size() + 1;
  std::vector<std::size_t> table((a.size() + 1) * width);
  const auto at = [&](std::size_t i, std::size_t j) -> std::size_t& {
    return table[i * width + j];
  };
  for (std::size_t i = 0; i <= a.size(); ++i) at(i, 0) = i;
  for (std::size_t j = 0; j <= b.size(); ++j) at(0, j) = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      const std::size_t one_off = std::min(at(i - 1, j), at(i, j - 1)) + 1;
      std::size_t best = std::min(at(i - 1, j - 1) + change, one_off);
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) best = std::min(best, at(i - 2, j - 2) + 1);
      at(i, j) = best;
    }
  }
  return at(a.size(), b.size());
}

std::string quote_up_to(std::size_t longest, std::string_view text) {
  std::string out = "'";
  while (!text.empty()) {
    if (out.size() > longest) return out + "…'";
    const auto first = static_cast<unsigned char>(text.front());
    const std::size_t length = first < 0x20 || first == 0x7F ? 0 : utf8_length(text);
    if (length == 0) {
      out += fmt::format("\\x{:02x}", first);
      text.remove_prefix(1);
    } else {
      out += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return out + "'";
}

}  // namespace

std::string quote(std::string_view text) { return quote_up_to(kLongestShown, text); }

std::string quote_path(std::string_view path) { return quote_up_to(kLongestPath, path); }

std::optional<std::string_view> nearest(std::string_view word,
                                        std::span<const std::string_view> known) {
  if (word.empty() || word.size() > kLongestCompared) return std::nullopt;
  std::optional<std::string_view> best;
  std::size_t least = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string_view candidate : known) {
    const std::size_t wrong = distance(word, candidate);
    if (wrong >= least) continue;
    least = wrong;
    best = candidate;
  }
  return best;
}

std::string either(std::span<const std::string_view> words) {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 == words.size() ? " or " : ", ";
    out += words[i];
  }
  return out;
}

}  // namespace drover::config
