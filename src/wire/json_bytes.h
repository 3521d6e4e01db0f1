#pragma once
// Looking for the few bytes that matter in long runs that do not: sixteen at a time where the
// machine can (SSE2 is part of every x86-64), one at a time elsewhere.

#include <cstddef>
#include <string_view>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace drover::wire {

inline bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

// A byte that does not end a plain run inside a JSON string: quote, backslash, control, or not
// ASCII.
inline bool is_plain_string_byte(char c) {
  return static_cast<unsigned char>(c - 0x20) < 0x60 && c != '"' && c != '\\';
}

// The first byte at or after `p` that is not plain in the sense above, or `end`.
inline const char* skip_plain(const char* p, const char* end) {
#ifdef __SSE2__
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  const __m128i space = _mm_set1_epi8(0x20);
  const auto special = [&](const char* at) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    // Signed: bytes from 0x80 on are negative, so one comparison finds them and the controls.
    return _mm_or_si128(
        _mm_cmplt_epi8(block, space),
        _mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, backslash)));
  };
  // Most runs are short; after four blocks it is a long one.
  for (int i = 0; i < 4; ++i) {
    if (end - p < 16) break;
    const int mask = _mm_movemask_epi8(special(p));
    if (mask != 0) return p + __builtin_ctz(static_cast<unsigned>(mask));
    p += 16;
  }
  while (end - p >= 64) {
    const __m128i low = _mm_or_si128(special(p), special(p + 16));
    const __m128i high = _mm_or_si128(special(p + 32), special(p + 48));
    if (_mm_movemask_epi8(_mm_or_si128(low, high)) != 0) break;
    p += 64;
  }
  while (end - p >= 16) {
    const int mask = _mm_movemask_epi8(special(p));
    if (mask != 0) return p + __builtin_ctz(static_cast<unsigned>(mask));
    p += 16;
  }
#endif
  while (p < end && is_plain_string_byte(*p)) ++p;
  return p;
}

// The first quote in `text` from `from` on whose next byte is one of `a`, `b`, `c`; npos if none.
// A quote as the last byte is never found: nothing follows it.
inline std::size_t find_quoted(std::string_view text, std::size_t from, char a, char b, char c) {
  const std::size_t size = text.size();
  std::size_t i = from;
#ifdef __SSE2__
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i va = _mm_set1_epi8(a);
  const __m128i vb = _mm_set1_epi8(b);
  const __m128i vc = _mm_set1_epi8(c);
  for (; i + 17 <= size; i += 16) {
    const char* at = text.data() + i;
    const __m128i here = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i next = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + 1));
    const __m128i letters = _mm_or_si128(
        _mm_cmpeq_epi8(next, va), _mm_or_si128(_mm_cmpeq_epi8(next, vb), _mm_cmpeq_epi8(next, vc)));
    const int mask = _mm_movemask_epi8(_mm_and_si128(_mm_cmpeq_epi8(here, quote), letters));
    if (mask != 0) return i + static_cast<std::size_t>(__builtin_ctz(static_cast<unsigned>(mask)));
  }
#endif
  for (; i + 1 < size; ++i) {
    const char n = text[i + 1];
    if (text[i] == '"' && (n == a || n == b || n == c)) return i;
  }
  return std::string_view::npos;
}

}  // namespace drover::wire
