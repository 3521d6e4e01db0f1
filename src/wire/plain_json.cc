#include "wire/plain_json.h"

#include <cstddef>
#include <utility>

#include "wire/json_bytes.h"

namespace drover::wire {
namespace {

using Kind = PlainValue::Kind;

constexpr int kMaxDepth = 16;           // requests and answers have five or six levels
constexpr std::ptrdiff_t kDigits = 15;  // every such number fits into every type

// All of these return what follows, or null to give up. `end` is never read.
const char* skip_value(const char* at, const char* end, int depth, PlainValue& value);

const char* skip_spaces(const char* at, const char* end) {
  while (at != end && is_space(*at)) ++at;
  return at;
}

bool is_tail(const char* at, unsigned char low, unsigned char high) {
  const auto byte = static_cast<unsigned char>(*at);
  return byte >= low && byte <= high;
}

// One character of several bytes (Unicode, table 3-7).
const char* skip_character(const char* at, const char* end) {
  const auto lead = static_cast<unsigned char>(*at);
  const std::ptrdiff_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || end - at < size) return nullptr;
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
  if (lead == 0xE0) low = 0xA0;
  if (lead == 0xED) high = 0x9F;
  if (lead == 0xF0) low = 0x90;
  if (lead == 0xF4) high = 0x8F;
  if (!is_tail(at + 1, low, high)) return nullptr;
  for (std::ptrdiff_t i = 2; i < size; ++i) {
    if (!is_tail(at + i, 0x80, 0xBF)) return nullptr;
  }
  return at + size;
}

// `at` is the backslash.
const char* skip_escape(const char* at, const char* end) {
  if (end - at < 2) return nullptr;
  if (escaped_byte(at[1]) != '\0') return at + 2;
  if (at[1] != 'u' || end - at < 6) return nullptr;
  for (int i = 2; i < 6; ++i) {
    if (hex_value(at[i]) < 0) return nullptr;
  }
  return at + 6;
}

// From `begin`, which is behind the opening quote, all is well as far as `at`.
[[gnu::noinline]] const char* skip_rest_of_string(const char* begin, const char* at,
                                                  const char* end, PlainValue& value) {
  for (;;) {
    const SkippedText run = skip_text(at, end);
    value.has_escapes = value.has_escapes || run.had_escapes;
    at = run.at;
    if (at == end) return nullptr;
    if (*at == '"') {
      value.text = {begin, static_cast<std::size_t>(at - begin)};
      return at + 1;
    }
    if (*at == '\\') {
      value.has_escapes = true;
      at = skip_escape(at, end);
    } else {
      at = skip_character(at, end);
    }
    if (at == nullptr) return nullptr;
  }
}

// `at` is behind the opening quote.
inline const char* skip_string(const char* at, const char* end, PlainValue& value) {
  value.kind = Kind::kString;
#ifdef __SSE2__
  // Nearly all keys and most values: sixteen bytes hold them and the quote behind them.
  if (end - at >= 16) {
    const int special = _mm_movemask_epi8(special_bytes(at));
    if (special == 0) return skip_rest_of_string(at, at + 16, end, value);
    const int size = __builtin_ctz(static_cast<unsigned>(special));
    if (at[size] == '"') {
      value.text = {at, static_cast<std::size_t>(size)};
      return at + size + 1;
    }
  }
#endif
  return skip_rest_of_string(at, at, end, value);
}

const char* skip_digits(const char* at, const char* end) {
  while (at != end && is_digit(*at)) ++at;
  return at;
}

[[gnu::noinline]] const char* skip_number(const char* at, const char* end, PlainValue& value) {
  const char* const begin = at;
  if (*at == '-') ++at;
  const char* const whole = at;
  std::uint64_t number = 0;  // of too many digits it is anything, and not used
  for (; at != end && is_digit(*at); ++at) number = number * 10 + static_cast<unsigned>(*at - '0');
  if (at == whole || (*whole == '0' && at - whole > 1)) return nullptr;
  if (whole != begin) number = 0;
  if (at != end && *at == '.') {
    const char* const fraction = ++at;
    at = skip_digits(at, end);
    if (at == fraction) return nullptr;
    number = 0;
  }
  const bool has_exponent = at != end && (*at == 'e' || *at == 'E');
  if (has_exponent || at - whole > kDigits) return nullptr;
  value.kind = Kind::kNumber;
  value.whole = number;
  value.text = {begin, static_cast<std::size_t>(at - begin)};
  return at;
}

const char* skip_word(const char* at, const char* end, std::string_view word, Kind kind,
                      PlainValue& value) {
  const std::string_view rest(at, static_cast<std::size_t>(end - at));
  if (!rest.starts_with(word)) return nullptr;
  value.kind = kind;
  value.text = rest.substr(0, word.size());
  return at + word.size();
}

// What stands before the value of a member: its key and the colon.
const char* skip_key(const char* at, const char* end, std::string_view& key) {
  if (at == end || *at != '"') return nullptr;
  PlainValue text;
  at = skip_string(at + 1, end, text);
  if (at == nullptr || text.has_escapes) return nullptr;
  key = text.text;
  at = skip_spaces(at, end);
  return at != end && *at == ':' ? at + 1 : nullptr;
}

// `at` is behind the opening bracket or a value; on to where the next value begins, or behind the
// closing bracket: then it is `over`.
const char* skip_to_next(const char* at, const char* end, char close, bool first,
                         std::string_view& key, bool& over) {
  at = skip_spaces(at, end);
  if (at == end) return nullptr;
  over = *at == close;
  if (over) return at + 1;
  if (!first) {
    if (*at != ',') return nullptr;
    at = skip_spaces(at + 1, end);
    if (at == end || *at == close) return nullptr;
  }
  return close == '}' ? skip_key(at, end, key) : at;
}

// `at` is the opening bracket.
[[gnu::noinline]] const char* skip_container(const char* at, const char* end, int depth,
                                             PlainValue& value) {
  const char* const begin = at;
  if (depth == kMaxDepth) return nullptr;
  const bool object = *at == '{';
  const char close = object ? '}' : ']';
  std::string_view key;
  PlainValue inner;
  ++at;
  for (bool first = true;; first = false) {
    bool over = false;
    at = skip_to_next(at, end, close, first, key, over);
    if (at == nullptr) return nullptr;
    if (over) break;
    at = skip_value(at, end, depth + 1, inner);
    if (at == nullptr) return nullptr;
  }
  value.kind = object ? Kind::kObject : Kind::kArray;
  value.text = {begin, static_cast<std::size_t>(at - begin)};
  return at;
}

const char* skip_value(const char* at, const char* end, int depth, PlainValue& value) {
  at = skip_spaces(at, end);
  if (at == end) return nullptr;
  value.has_escapes = false;
  switch (*at) {
    case '"':
      return skip_string(at + 1, end, value);
    case '{':
    case '[':
      return skip_container(at, end, depth, value);
    case 't':
      return skip_word(at, end, "true", Kind::kTrue, value);
    case 'f':
      return skip_word(at, end, "false", Kind::kFalse, value);
    case 'n':
      return skip_word(at, end, "null", Kind::kNull, value);
    default:
      return skip_number(at, end, value);
  }
}

}  // namespace

PlainContainer::PlainContainer(std::string_view text)
    : at_(text.data()), end_(text.data() + text.size()) {
  at_ = skip_spaces(at_, end_);
  if (at_ == end_) return;
  if (*at_ == '{') close_ = '}';
  if (*at_ == '[') close_ = ']';
  ++at_;
}

[[gnu::flatten]] bool PlainContainer::next() {
  if (close_ == '\0' || at_ == nullptr) return false;
  bool over = false;
  at_ = skip_to_next(at_, end_, close_, std::exchange(first_, false), key_, over);
  if (at_ == nullptr) return false;
  if (over) {
    complete_ = skip_spaces(at_, end_) == end_;
    at_ = nullptr;
    return false;
  }
  at_ = skip_value(at_, end_, 1, value_);
  return at_ != nullptr;
}

}  // namespace drover::wire
