#include "wire/rfc3339.h"

#include <chrono>
#include <cstddef>

namespace drover::wire {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Reads from the front of a text; once something is missing, stays failed.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  int number(std::size_t digits) {
    if (rest_.size() < digits) return fail();
    int value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      if (!is_digit(rest_[i])) return fail();
      value = value * 10 + (rest_[i] - '0');
    }
    rest_.remove_prefix(digits);
    return value;
  }
  char one_of(std::string_view allowed) {
    if (rest_.empty() || allowed.find(rest_.front()) == std::string_view::npos) {
      fail();
      return '\0';
    }
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }
  std::int32_t fraction() {
    if (!rest_.starts_with('.')) return 0;
    rest_.remove_prefix(1);
    if (rest_.empty() || !is_digit(rest_.front())) return fail();
    std::int32_t value = 0;
    std::int32_t unit = 100'000'000;
    for (; !rest_.empty() && is_digit(rest_.front()); rest_.remove_prefix(1)) {
      value += (rest_.front() - '0') * unit;
      unit /= 10;
    }
    return value;
  }
  bool done() const { return ok_ && rest_.empty(); }

 private:
  int fail() {
    ok_ = false;
    return 0;
  }
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace

std::optional<CivilMoment> parse_rfc3339(std::string_view text) {
  using namespace std::chrono;
  Reader in(text);
  const int year_number = in.number(4);
  in.one_of("-");
  const int month_number = in.number(2);
  in.one_of("-");
  const int day_number = in.number(2);
  in.one_of("Tt ");
  const int hour = in.number(2);
  in.one_of(":");
  const int minute = in.number(2);
  in.one_of(":");
  const int second = in.number(2);
  const std::int32_t nanos = in.fraction();
  const char sign = in.one_of("Zz+-");
  int offset_minutes = 0;
  if (sign == '+' || sign == '-') {
    const int hours = in.number(2);
    in.one_of(":");
    offset_minutes = hours * 60 + in.number(2);
    if (sign == '-') offset_minutes = -offset_minutes;
  }
  const year_month_day date{year{year_number}, month{static_cast<unsigned>(month_number)},
                            day{static_cast<unsigned>(day_number)}};
  // 60 is a leap second.
  if (!in.done() || !date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  const std::int64_t days = sys_days{date}.time_since_epoch().count();
  const std::int64_t in_day = (hour * 60 + minute - offset_minutes) * 60 + second;
  return CivilMoment{.seconds = days * 86'400 + in_day, .nanos = nanos};
}

}  // namespace drover::wire
