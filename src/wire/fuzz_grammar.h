#pragma once
// For fuzz targets only: mutations that know what a text is made of. A fuzzer that flips bytes
// spends nearly all of its time on messages whose first line is already broken; this one takes a
// text apart where its grammar does (lines of a head, members of an object), moves whole pieces
// about, and puts in pieces that are known to matter.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"

// libFuzzer's own mutations. In the replays of the corpora, where nothing is mutated,
// fuzz/replay_main.cc stands in for it.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace drover::wire {

struct FuzzGrammar {
  std::string_view separator;                   // ends a piece: "\r\n", ","
  std::span<const std::string_view> pieces;     // whole ones, with their separator
  std::span<const std::string_view> words;      // go in anywhere
  void (*repair)(std::string& text) = nullptr;  // makes lengths true again; may be absent
};

class GrammarMutation {
 public:
  GrammarMutation(const FuzzGrammar& grammar, std::uint64_t seed) : grammar_(grammar), rng_(seed) {}

  std::size_t apply(std::uint8_t* data, std::size_t size, std::size_t max_size) {
    // Half of the time as libFuzzer does: what nobody thought of is found that way.
    if (rng_.below(2) == 0) return LLVMFuzzerMutate(data, size, max_size);
    std::string text(reinterpret_cast<const char*>(data), size);
    for (std::uint64_t steps = 1 + rng_.below(3); steps > 0; --steps) step(text);
    if (grammar_.repair != nullptr && rng_.below(2) == 0) grammar_.repair(text);
    text.resize(std::min(text.size(), max_size));
    std::memcpy(data, text.data(), text.size());
    return text.size();
  }

 private:
  void step(std::string& text) {
    std::vector<std::string> parts = cut(text);
    const std::size_t at = index(parts.size());
    const auto place = parts.begin() + static_cast<std::ptrdiff_t>(at);
    switch (rng_.below(7)) {
      case 0:
        parts.insert(place, std::string(any(grammar_.pieces)));
        break;
      case 1:
        parts[at] = any(grammar_.pieces);
        break;
      case 2: {
        const std::string copy = parts[index(parts.size())];
        parts.insert(place, copy);
        break;
      }
      case 3:
        parts.erase(place);
        break;
      case 4:
        std::swap(parts[at], parts[index(parts.size())]);
        break;
      case 5:
        parts[at].insert(index(parts[at].size() + 1), any(grammar_.words));
        break;
      default:
        replace_word(parts[at]);
    }
    text.clear();
    for (const std::string& part : parts) text += part;
  }

  // At least one part, which may be empty.
  std::vector<std::string> cut(std::string_view text) const {
    std::vector<std::string> parts;
    while (!text.empty()) {
      const std::size_t found = text.find(grammar_.separator);
      const std::size_t end =
          found == std::string_view::npos ? text.size() : found + grammar_.separator.size();
      parts.emplace_back(text.substr(0, end));
      text.remove_prefix(end);
    }
    if (parts.empty()) parts.emplace_back();
    return parts;
  }

  void replace_word(std::string& part) {
    constexpr std::string_view kBetween = " \t\r\n:;,=\"{}[]/?";
    const std::size_t at = index(part.size() + 1);
    const std::size_t before = part.find_last_of(kBetween, at);
    const std::size_t begin = before == std::string::npos ? 0 : before + 1;
    const std::size_t end = std::min(part.find_first_of(kBetween, begin), part.size());
    part.replace(begin, end - begin, any(grammar_.words));
  }

  std::string_view any(std::span<const std::string_view> list) { return list[index(list.size())]; }
  std::size_t index(std::size_t size) { return static_cast<std::size_t>(rng_.below(size)); }

  const FuzzGrammar& grammar_;
  Rng rng_;
};

}  // namespace drover::wire
