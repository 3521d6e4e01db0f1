#include "config/values.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>
#include <system_error>

#include "config/words.h"

namespace drover::config {
namespace {

constexpr std::string_view kDigits = "0123456789";
constexpr std::size_t kLongestShare = 16;  // "0.2" needs three

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr std::array<Unit, 4> kTimes = {
    {{"ms", 1'000'000}, {"s", 1'000'000'000}, {"m", 60'000'000'000}, {"h", 3'600'000'000'000}}};

constexpr std::array<Unit, 7> kSizes = {{{"B", 1},
                                         {"KB", 1000},
                                         {"KiB", 1024},
                                         {"MB", 1000 * 1000},
                                         {"MiB", 1024 * 1024},
                                         {"GB", 1000 * 1000 * 1000},
                                         {"GiB", 1024 * 1024 * 1024}}};

Error refuse(std::string message) {
  return Error{ErrorKind::kConfig, Origin::kSelf, Retry::kNever, std::move(message)};
}

bool to_number(std::string_view digits, std::uint64_t& out) {
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
  return error == std::errc{} && end == digits.data() + digits.size();
}

// Digits and a unit. `most` is the largest product that still fits.
template <std::size_t N>
bool parse_quantity(std::string_view text, const std::array<Unit, N>& units, std::uint64_t most,
                    std::uint64_t& out) {
  const std::size_t cut = text.find_first_not_of(kDigits);
  if (cut == 0 || cut == std::string_view::npos) return false;
  std::uint64_t number = 0;
  if (!to_number(text.substr(0, cut), number)) return false;
  for (const Unit& unit : units) {
    if (unit.name != text.substr(cut)) continue;
    if (number > most / unit.factor) return false;
    out = number * unit.factor;
    return true;
  }
  return false;
}

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of(kDigits) == std::string_view::npos;
}

template <std::size_t N>
std::string show(std::uint64_t value, const std::array<Unit, N>& units, std::string_view smallest) {
  const Unit* best = nullptr;
  std::uint64_t fewest = std::numeric_limits<std::uint64_t>::max();
  for (const Unit& unit : units) {
    if (value % unit.factor != 0 || value / unit.factor >= fewest) continue;
    fewest = value / unit.factor;
    best = &unit;
  }
  if (best == nullptr || value == 0) return fmt::format("{}{}", value == 0 ? 0 : value, smallest);
  return fmt::format("{}{}", fewest, best->name);
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  std::uint64_t nanos = 0;
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (parse_quantity(text, kTimes, kMost, nanos)) {
    return Duration(static_cast<std::int64_t>(nanos));
  }
  if (is_digits(text)) {
    return refuse(
        fmt::format("must be a time with a unit (ms, s, m or h), such as 2s, not {}", quote(text)));
  }
  return refuse(fmt::format("must be a time such as 500ms, 2s or 10m, not {}", quote(text)));
}

Result<std::uint64_t> parse_size(std::string_view text) {
  std::uint64_t bytes = 0;
  if (is_digits(text) && to_number(text, bytes)) return bytes;
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  if (parse_quantity(text, kSizes, kMost, bytes)) return bytes;
  return refuse(fmt::format("must be a size such as 64KiB, 1MiB or 100MB, not {}", quote(text)));
}

Result<std::uint64_t> parse_count(std::string_view text) {
  std::uint64_t count = 0;
  if (is_digits(text) && to_number(text, count)) return count;
  return refuse(fmt::format("must be a whole number, not {}", quote(text)));
}

Result<double> parse_share(std::string_view text) {
  double share = 0;
  const char* const last = text.data() + text.size();
  const bool plain = !text.empty() && text.size() <= kLongestShare &&
                     text.find_first_not_of("0123456789.") == std::string_view::npos;
  if (plain) {
    const auto [end, error] = std::from_chars(text.data(), last, share, std::chars_format::fixed);
    if (error == std::errc{} && end == last) return share;
  }
  return refuse(fmt::format("must be a number such as 0.2, not {}", quote(text)));
}

std::string show_duration(Duration value) {
  return show(static_cast<std::uint64_t>(value.count()), kTimes, value.count() == 0 ? "s" : "ns");
}

std::string show_size(std::uint64_t bytes) { return show(bytes, kSizes, "B"); }

}  // namespace drover::config
