#include "app/store_bars.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/escape.h"
#include "wire/progress.h"

namespace drover::app {
namespace {

constexpr std::uint64_t kWidth = 30;

}  // namespace

std::string size_text(std::uint64_t bytes) {
  constexpr double kGiga = 1e9;
  constexpr double kMega = 1e6;
  const auto size = static_cast<double>(bytes);
  return size >= kGiga ? fmt::format("{:.1f} GB", size / kGiga)
                       : fmt::format("{:.0f} MB", size / kMega);
}

std::string StoreBars::take(std::string_view line) {
  const Result<wire::ProgressLine> read = wire::read_progress(line);
  if (!read || read->digest.empty() || read->total == 0) return {};
  std::vector<std::pair<std::string, std::uint64_t>> shares = wire::read_shares(line);
  if (shares.empty()) shares.emplace_back(model_, read->completed);
  if (stores_.empty()) {
    for (const auto& [name, arrived] : shares) stores_.push_back(name);
  }
  if (shares.size() != stores_.size()) return {};
  Part& part = parts_[read->digest];
  part.bytes = read->total / stores_.size();
  part.arrived.clear();
  for (const auto& [name, arrived] : shares) part.arrived.push_back(arrived);
  return draw();
}

std::string StoreBars::draw() {
  std::size_t widest = 0;
  for (const std::string& name : stores_) widest = std::max(widest, text_words(name).size());
  std::string text;
  for (std::size_t i = 0; i < stores_.size(); ++i) {
    std::uint64_t arrived = 0;
    std::uint64_t bytes = 0;
    for (const auto& [digest, part] : parts_) {
      arrived += part.arrived[i];
      bytes += part.bytes;
    }
    const double share = static_cast<double>(arrived) / static_cast<double>(bytes);
    const auto full = std::min(kWidth, static_cast<std::uint64_t>(share * kWidth));
    // To the end of the line is cleared: what was there before may have been longer.
    text += fmt::format("{:<{}}  [{}{}] {:>3.0f} % of {}\x1b[K\n", text_words(stores_[i]), widest,
                        std::string(full, '#'), std::string(kWidth - full, '.'),
                        std::min(share * 100, 100.0), size_text(bytes));
  }
  if (text == drawn_) return {};
  const std::string back = drawn_.empty() ? "" : fmt::format("\x1b[{}A", stores_.size());
  drawn_ = text;
  return back + text;
}

}  // namespace drover::app
