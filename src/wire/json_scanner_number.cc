// The numbers of JsonScanner: their grammar, and whether a double can hold them.
#include <algorithm>
#include <charconv>
#include <cstring>

#include "wire/json_bytes.h"
#include "wire/json_scanner.h"

namespace drover::wire {
namespace {

// No more bytes of a number are kept than this, so both ways of reading one agree on its text.
constexpr std::ptrdiff_t kShortNumber = 48;

// The end of a number without an exponent that starts at `p` and is short enough for every double;
// null when it is anything else, or when the piece ends first: then the machine below decides.
const char* plain_number_end(const char* p, const char* end) {
  end = std::min(end, p + kShortNumber);
  if (p != end && *p == '-') ++p;
  const char* const whole = p;
  while (p != end && is_digit(*p)) ++p;
  if (p == whole || (*whole == '0' && p - whole > 1)) return nullptr;
  if (p != end && *p == '.') {
    const char* const fraction = ++p;
    while (p != end && is_digit(*p)) ++p;
    if (p == fraction) return nullptr;
  }
  const bool ends = p != end && (*p == ',' || *p == ']' || *p == '}' || is_space(*p));
  return ends ? p : nullptr;
}

}  // namespace

JsonScanner::Event JsonScanner::begin_number(Cursor& in) {
  begin_token(in, 0);
  if (const char* const end = plain_number_end(in.p, in.end)) {
    in_place_ = true;
    text_in_place_ = {in.p, keeping_ ? static_cast<std::size_t>(end - in.p) : 0};
    in.p = end;
    after_value();
    return told(Event::kNumber, depth_);
  }
  state_ = State::kNumber;
  digits_state_ = Digits::kMinus;
  exponent_negative_ = false;
  fraction_started_ = false;
  number_size_ = 0;
  int_digits_ = 0;
  fraction_zeros_ = 0;
  exponent_ = 0;
  return number(in);
}

JsonScanner::Event JsonScanner::number(Cursor& in) {
  Event event = kNothing;
  while (in.p != in.end && event == kNothing && state_ == State::kNumber) {
    const char* const from = in.p;
    event = number_byte(in);
    const auto size = static_cast<std::size_t>(in.p - from);
    if (number_size_ < kNumberKept) {
      std::memcpy(number_.data() + number_size_, from, std::min(size, kNumberKept - number_size_));
    }
    number_size_ += size;
  }
  return event;
}

// Reads one sign, point or letter, or all the digits that are there; or finds the number's end.
JsonScanner::Event JsonScanner::number_byte(Cursor& in) {
  const char c = *in.p;
  const bool starts = digits_state_ == Digits::kMinus;
  if (is_digit(c)) {
    if (digits_state_ == Digits::kZero) return fail("a number with a leading zero");
    digits(in);
    return kNothing;
  }
  const bool after_e = digits_state_ == Digits::kE;
  if (c == '-' && starts && number_size_ == 0) {
    ++in.p;
    return kNothing;
  }
  if ((c == '-' || c == '+') && after_e) {
    exponent_negative_ = c == '-';
    digits_state_ = Digits::kESign;
    ++in.p;
    return kNothing;
  }
  if (!is_complete_number()) return fail("a number without its digits");
  const bool whole = digits_state_ == Digits::kZero || digits_state_ == Digits::kInt;
  if (c == '.' && whole) {
    digits_state_ = Digits::kDot;
    ++in.p;
    return kNothing;
  }
  if ((c == 'e' || c == 'E') && digits_state_ != Digits::kExponent) {
    digits_state_ = Digits::kE;
    ++in.p;
    return kNothing;
  }
  return end_number();
}

void JsonScanner::digits(Cursor& in) {
  constexpr std::uint32_t kExponentCap = 1'000'000'000;
  switch (digits_state_) {
    case Digits::kMinus:
      if (*in.p == '0') {
        digits_state_ = Digits::kZero;
        ++in.p;
        return;
      }
      [[fallthrough]];
    case Digits::kInt:
      digits_state_ = Digits::kInt;
      for (; in.p != in.end && is_digit(*in.p); ++in.p) ++int_digits_;
      return;
    case Digits::kDot:
    case Digits::kFraction:
      digits_state_ = Digits::kFraction;
      for (; in.p != in.end && *in.p == '0' && !fraction_started_; ++in.p) ++fraction_zeros_;
      for (; in.p != in.end && is_digit(*in.p); ++in.p) fraction_started_ = true;
      return;
    default:
      digits_state_ = Digits::kExponent;
      for (; in.p != in.end && is_digit(*in.p); ++in.p) {
        const auto digit = static_cast<std::uint32_t>(*in.p - '0');
        if (exponent_ < kExponentCap / 10) exponent_ = exponent_ * 10 + digit;
      }
      return;
  }
}

bool JsonScanner::is_complete_number() const {
  return digits_state_ == Digits::kZero || digits_state_ == Digits::kInt ||
         digits_state_ == Digits::kFraction || digits_state_ == Digits::kExponent;
}

JsonScanner::Event JsonScanner::end_number() {
  if (overflows()) return fail("a number that is too large");
  if (keeping_) {
    text_.assign(number_.data(), std::min(number_size_, kNumberKept));
    text_cut_ = number_size_ > kNumberKept;
  }
  after_value();
  return told(Event::kNumber, depth_);
}

// Whether reading it as a double gives infinity: Go refuses such a number, other readers round it.
bool JsonScanner::overflows() const {
  if (int_digits_ == 0 && !fraction_started_) return false;  // zero
  const auto limit = [](std::uint64_t n) {
    return static_cast<std::int64_t>(std::min<std::uint64_t>(n, std::uint64_t{1} << 62));
  };
  const std::int64_t leading =
      int_digits_ > 0 ? limit(int_digits_) - 1 : -1 - limit(fraction_zeros_);
  const std::int64_t exponent =
      exponent_negative_ ? -static_cast<std::int64_t>(exponent_) : exponent_;
  const std::int64_t power = leading + exponent;
  if (power != 308) return power > 308;
  // The first digits of 2^1024 less half a unit of the last place, from where doubles round up.
  constexpr std::string_view kEdge = "17976931348623158079";
  std::array<char, kEdge.size()> first;
  first.fill('0');
  std::size_t size = 0;
  const std::size_t kept = std::min(number_size_, kNumberKept);
  for (std::size_t i = 0; i < kept && size < first.size(); ++i) {
    const char c = number_[i];
    if (c == 'e' || c == 'E') break;
    if (is_digit(c) && (c != '0' || size > 0)) first[size++] = c;
  }
  return size == 0 || std::string_view(first.data(), first.size()) >= kEdge;
}

std::uint64_t whole_number(std::string_view text) {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  return error == std::errc{} && at == end ? value : 0;
}

}  // namespace drover::wire
