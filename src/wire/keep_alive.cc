#include "wire/keep_alive.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>

namespace drover::wire {
namespace {

// Far longer than anything runs, and far from where nanoseconds end.
constexpr double kLongest = 1e9;

struct Unit {
  std::string_view name;
  double seconds;
};
// "ms" before "m": the longer name is meant.
constexpr std::array kUnits = {Unit{"ns", 1e-9}, Unit{"us", 1e-6}, Unit{"\xC2\xB5s", 1e-6},
                               Unit{"ms", 1e-3}, Unit{"s", 1},     Unit{"m", 60},
                               Unit{"h", 3600}};

Duration of_seconds(double seconds) {
  const double bounded = std::clamp(seconds, -kLongest, kLongest);
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(bounded));
}

// Takes it off the front; none: there is none, or it has no digits.
std::optional<double> take_number(std::string_view& text) {
  const std::size_t size = std::min(text.find_first_not_of("0123456789."), text.size());
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + size, value, std::chars_format::fixed);
  if (error != std::errc() || end != text.data() + size) return std::nullopt;
  text.remove_prefix(size);
  return value;
}

std::optional<double> take_unit(std::string_view& text) {
  for (const Unit& unit : kUnits) {
    if (!text.starts_with(unit.name)) continue;
    text.remove_prefix(unit.name.size());
    return unit.seconds;
  }
  return std::nullopt;
}

}  // namespace

Duration keep_alive_of_number(std::string_view text) {
  double value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec == std::errc::result_out_of_range) value = text.starts_with('-') ? -1 : kLongest;
  return of_seconds(value);
}

std::optional<Duration> keep_alive_of_text(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text == "0") return Duration{};
  if (text.empty()) return std::nullopt;
  double seconds = 0;
  while (!text.empty()) {
    const std::optional<double> number = take_number(text);
    const std::optional<double> unit = number ? take_unit(text) : std::nullopt;
    if (!unit) return std::nullopt;
    seconds += *number * *unit;
  }
  return of_seconds(negative ? -seconds : seconds);
}

}  // namespace drover::wire
