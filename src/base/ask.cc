#include "base/ask.h"

#include <algorithm>
#include <array>

namespace drover {
namespace {

constexpr std::array<std::string_view, kPriorities> kWords = {"interactive", "normal", "batch"};

}  // namespace

std::string_view to_string(Priority priority) { return kWords[static_cast<std::size_t>(priority)]; }

std::optional<Priority> parse_priority(std::string_view text) {
  const auto* const found = std::ranges::find(kWords, text);
  if (found == kWords.end()) return std::nullopt;
  return static_cast<Priority>(found - kWords.begin());
}

}  // namespace drover
