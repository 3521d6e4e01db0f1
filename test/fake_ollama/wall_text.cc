#include "fake_ollama/wall_text.h"

#include <fmt/format.h>

#include <chrono>

namespace drover::fake {
namespace {

struct Civil {
  int year;
  unsigned month, day, weekday;
  int hour, minute, second;
};

Civil civil(std::int64_t unix_seconds) {
  namespace c = std::chrono;
  const c::sys_seconds at{c::seconds(unix_seconds)};
  const c::sys_days day = c::floor<c::days>(at);
  const c::year_month_day date(day);
  const c::hh_mm_ss time(at - day);
  return {static_cast<int>(date.year()),           static_cast<unsigned>(date.month()),
          static_cast<unsigned>(date.day()),       c::weekday(day).c_encoding(),
          static_cast<int>(time.hours().count()),  static_cast<int>(time.minutes().count()),
          static_cast<int>(time.seconds().count())};
}

constexpr std::int64_t kNanos = 1'000'000'000;

std::int64_t whole_seconds(WallTime at) {
  const std::int64_t seconds = at.unix_nanos / kNanos;
  return at.unix_nanos % kNanos < 0 ? seconds - 1 : seconds;
}

}  // namespace

std::string_view WallText::rfc3339(WallTime at) {
  const std::int64_t second = whole_seconds(at);
  if (second != second_) {
    const Civil t = civil(second);
    second_ = second;
    text_ = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.000000000Z", t.year, t.month, t.day,
                        t.hour, t.minute, t.second);
  }
  std::int64_t nanos = at.unix_nanos - second * kNanos;
  for (std::size_t i = text_.size() - 2; text_[i] != '.'; --i, nanos /= 10) {
    text_[i] = static_cast<char>('0' + nanos % 10);
  }
  return text_;
}

std::string rfc3339(WallTime at) {
  WallText text;
  return std::string(text.rfc3339(at));
}

std::string http_date(WallTime at) {
  constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const Civil t = civil(whole_seconds(at));
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", kDays[t.weekday], t.day,
                     kMonths[t.month - 1], t.year, t.hour, t.minute, t.second);
}

}  // namespace drover::fake
