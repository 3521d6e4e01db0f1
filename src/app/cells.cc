#include "app/cells.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "app/escape.h"

namespace drover::app {
namespace {

using simdjson::dom::element;

// "3d 4h", "2h 5m", "12m", "40s": two units are enough.
std::string show_time(std::uint64_t seconds) {
  const std::uint64_t minutes = seconds / 60;
  const std::uint64_t hours = minutes / 60;
  if (hours >= 24) return fmt::format("{}d {}h", hours / 24, hours % 24);
  if (hours > 0) return fmt::format("{}h {}m", hours, minutes % 60);
  if (minutes > 0) return fmt::format("{}m", minutes);
  return fmt::format("{}s", seconds);
}

// Characters, not bytes: what sets the width on a terminal for the scripts that names use.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

}  // namespace

std::string text_of(element object, std::string_view key) {
  std::string_view text;
  if (object[key].get(text) != simdjson::SUCCESS || text.empty()) return "-";
  return text_words(text);
}

std::string number_of(element object, std::string_view key) {
  std::uint64_t number = 0;
  if (object[key].get(number) != simdjson::SUCCESS) return "-";
  return fmt::format("{}", number);
}

// Whole seconds of a number that may be written with a fraction.
std::string time_of(element object, std::string_view key) {
  double seconds = 0;
  if (object[key].get(seconds) != simdjson::SUCCESS || !(seconds >= 0 && seconds < 1e12)) {
    return "-";
  }
  return show_time(static_cast<std::uint64_t>(seconds));
}

std::string memory_of(element object, std::string_view key) {
  std::uint64_t bytes = 0;
  if (object[key].get(bytes) != simdjson::SUCCESS) return "-";
  const double mebibytes = static_cast<double>(bytes) / (1024.0 * 1024.0);
  if (mebibytes < 1024) return fmt::format("{:.0f} MiB", mebibytes);
  return fmt::format("{:.1f} GiB", mebibytes / 1024);
}

std::string rounded_of(element object, std::string_view key, double scale, std::string_view unit) {
  double number = 0;
  if (object[key].get(number) != simdjson::SUCCESS) return "-";
  return fmt::format("{:.0f} {}", number * scale, unit);
}

std::string words_of(element object, std::string_view key) {
  simdjson::dom::array words;
  if (object[key].get(words) != simdjson::SUCCESS) return "-";
  std::string out;
  for (const element word : words) {
    std::string_view text;
    if (word.get(text) != simdjson::SUCCESS) continue;
    out += (out.empty() ? "" : ", ") + text_words(text);
  }
  return out.empty() ? "-" : out;
}

std::string lay_out(const std::vector<Row>& rows) {
  if (rows.empty()) return "";
  std::vector<std::size_t> widths(rows.front().size());
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::string out;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      line.append(widths[i] - width_of(row[i]) + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

}  // namespace drover::app
