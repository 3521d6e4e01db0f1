#pragma once
// What each octet may be in a message head, and how to run over many of them quickly.
// Private to the HTTP half of wire/.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "wire/digits.h"

namespace drover::wire {

enum CharClass : std::uint8_t {
  kTokenChar = 1,       // tchar, RFC 9110 5.6.2: names and methods
  kTargetChar = 2,      // pchar, "/", "?" and "%", RFC 3986 3.3 and 3.4
  kValueChar = 4,       // VCHAR, SP, HTAB and obs-text, RFC 9110 5.5
  kUnreservedChar = 8,  // RFC 3986 2.3; also all that a host name needs
  kUrlChar = 16,        // kTargetChar and the brackets of an IPv6 address
};

namespace chars_detail {

constexpr std::uint8_t classes_of(unsigned c) {
  const bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  const auto one_of = [c](std::string_view set) {
    return c < 0x80 && set.find(static_cast<char>(c)) != std::string_view::npos;
  };
  unsigned bits = 0;
  if (alnum || one_of("!#$%&'*+-.^_`|~")) bits |= kTokenChar;
  if (alnum || one_of("-._~!$&'()*+,;=:@/?%")) bits |= kTargetChar;
  if (alnum || one_of("-._~!$&'()*+,;=:@/?%[]")) bits |= kUrlChar;
  if ((c >= 0x20 && c != 0x7f) || c == '\t') bits |= kValueChar;
  if (alnum || one_of("-._~")) bits |= kUnreservedChar;
  return static_cast<std::uint8_t>(bits);
}

constexpr std::array<std::uint8_t, 256> make_classes() {
  std::array<std::uint8_t, 256> table{};
  for (unsigned c = 0; c < 256; ++c) table[c] = classes_of(c);
  return table;
}

constexpr std::array<char, 256> make_lower() {
  std::array<char, 256> table{};
  for (unsigned c = 0; c < 256; ++c) {
    table[c] = static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
  }
  return table;
}

inline constexpr auto kClasses = make_classes();
inline constexpr auto kLower = make_lower();

}  // namespace chars_detail

constexpr bool is_char(char c, CharClass wanted) {
  return (chars_detail::kClasses[static_cast<unsigned char>(c)] & wanted) != 0;
}

constexpr char to_lower(char c) { return chars_detail::kLower[static_cast<unsigned char>(c)]; }

// The first octet at or after `at` that is not of the class; text.size() when all are.
inline std::size_t skip_chars(std::string_view text, std::size_t at, CharClass wanted) {
  const char* const begin = text.data();
  const std::size_t size = text.size();
  while (at < size && is_char(begin[at], wanted)) ++at;
  return at;
}

inline bool all_chars(std::string_view text, CharClass wanted) {
  return skip_chars(text, 0, wanted) == text.size();
}

// The first octet at or after `at` that no line may contain (a control other than HTAB), which in
// a sound head is the CR at the end of the line; text.size() when there is none.
inline std::size_t find_control(std::string_view text, std::size_t at) {
#ifdef __SSE2__
  const __m128i last_control = _mm_set1_epi8(0x1f);
  const __m128i tab = _mm_set1_epi8('\t');
  const __m128i del = _mm_set1_epi8(0x7f);
  for (; at + 16 <= text.size(); at += 16) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + at));
    const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(block, last_control), block);
    const __m128i bad =
        _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(block, tab), low), _mm_cmpeq_epi8(block, del));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(bad));
    if (mask != 0) return at + static_cast<std::size_t>(std::countr_zero(mask));
  }
#endif
  return skip_chars(text, at, kValueChar);
}

struct FieldName {
  std::size_t end = 0;  // the first octet that is not of a token
  bool has_underscore = false;
};

// The field name at `at`. Fast where it is of letters, digits and '-', as nearly every one is.
inline FieldName read_name(std::string_view text, std::size_t at) {
  const std::size_t start = at;
#ifdef __SSE2__
  // Adding moves a range of octets to the very top of the signed ones, so that one comparison tells
  // who was in it.
  const auto in_range = [](__m128i block, int first, int last) {
    const __m128i moved = _mm_add_epi8(block, _mm_set1_epi8(static_cast<char>(127 - last)));
    return _mm_cmpgt_epi8(moved, _mm_set1_epi8(static_cast<char>(126 - (last - first))));
  };
  for (; at + 16 <= text.size(); at += 16) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + at));
    const __m128i letters = in_range(_mm_or_si128(block, _mm_set1_epi8(0x20)), 'a', 'z');
    const __m128i digits = in_range(block, '0', '9');
    const __m128i dashes = _mm_cmpeq_epi8(block, _mm_set1_epi8('-'));
    const __m128i plain = _mm_or_si128(_mm_or_si128(letters, digits), dashes);
    const unsigned other = ~static_cast<unsigned>(_mm_movemask_epi8(plain)) & 0xffffU;
    if (other == 0) continue;
    at += static_cast<std::size_t>(std::countr_zero(other));
    if (text.data()[at] == ':') return {at, false};
    break;
  }
#endif
  at = skip_chars(text, at, kTokenChar);
  return {at, text.substr(start, at - start).find('_') != std::string_view::npos};
}

}  // namespace drover::wire
