#pragma once
// Looking for the few bytes that matter in long runs that do not: sixteen at a time where the
// machine can (SSE2 is part of every x86-64), one at a time elsewhere.

#include <array>
#include <cstddef>
#include <string_view>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "wire/digits.h"

namespace drover::wire {

// Nearly no byte that is asked about is one, so the first comparison decides.
inline bool is_space(char c) {
  if (static_cast<unsigned char>(c) > ' ') return false;
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

// A byte that does not end a plain run inside a JSON string: quote, backslash, control, or not
// ASCII.
inline bool is_plain_string_byte(char c) {
  return static_cast<unsigned char>(c - 0x20) < 0x60 && c != '"' && c != '\\';
}

#ifdef __SSE2__
// Of sixteen bytes, those that are not plain in the sense above: 0xFF, the others zero.
inline __m128i special_of(__m128i block) {
  // Signed: bytes from 0x80 on are negative, so one comparison finds them and the controls.
  return _mm_or_si128(_mm_cmplt_epi8(block, _mm_set1_epi8(0x20)),
                      _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('"')),
                                   _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'))));
}
inline __m128i special_bytes(const char* at) {
  return special_of(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
}
#endif

// The first byte at or after `p` that is not plain in the sense above, or `end`.
inline const char* skip_plain(const char* p, const char* end) {
#ifdef __SSE2__
  // Most runs are short; after four blocks it is a long one.
  for (int i = 0; i < 4; ++i) {
    if (end - p < 16) break;
    const int mask = _mm_movemask_epi8(special_bytes(p));
    if (mask != 0) return p + __builtin_ctz(static_cast<unsigned>(mask));
    p += 16;
  }
  while (end - p >= 64) {
    const __m128i low = _mm_or_si128(special_bytes(p), special_bytes(p + 16));
    const __m128i high = _mm_or_si128(special_bytes(p + 32), special_bytes(p + 48));
    if (_mm_movemask_epi8(_mm_or_si128(low, high)) != 0) break;
    p += 64;
  }
  while (end - p >= 16) {
    const int mask = _mm_movemask_epi8(special_bytes(p));
    if (mask != 0) return p + __builtin_ctz(static_cast<unsigned>(mask));
    p += 16;
  }
#endif
  while (p < end && is_plain_string_byte(*p)) ++p;
  return p;
}

// By a character, the byte that it stands for behind a backslash; zero for u and for what is no
// escape.
inline constexpr std::array<char, 256> kEscaped = [] {
  std::array<char, 256> table{};
  table['"'] = '"';
  table['\\'] = '\\';
  table['/'] = '/';
  table['b'] = '\b';
  table['f'] = '\f';
  table['n'] = '\n';
  table['r'] = '\r';
  table['t'] = '\t';
  return table;
}();

inline char escaped_byte(char c) { return kEscaped[static_cast<unsigned char>(c)]; }

struct SkippedText {
  const char* at;  // what ended the run, or the end of the piece
  bool had_escapes;
};

// Passes over the plain bytes and the escapes of two bytes in a string whose text nobody wants.
// Long text is full of "\n": 32 bytes are looked at once, however many escapes they have.
inline SkippedText skip_text(const char* p, const char* end) {
  bool had_escapes = false;
#ifdef __SSE2__
  for (int plain_blocks = 0; end - p > 32;) {
    const char* next = p + 32;
    const auto low = static_cast<unsigned>(_mm_movemask_epi8(special_bytes(p)));
    const auto high = static_cast<unsigned>(_mm_movemask_epi8(special_bytes(p + 16)));
    unsigned special = low | high << 16;
    if (special != 0) {
      plain_blocks = 0;
    } else if (++plain_blocks == 2) {  // an image, perhaps
      next = skip_plain(next, end);
    }
    while (special != 0) {
      const auto i = static_cast<unsigned>(__builtin_ctz(special));
      if (p[i] != '\\' || escaped_byte(p[i + 1]) == '\0') return {p + i, had_escapes};
      had_escapes = true;
      if (i == 31) ++next;
      special &= ~(3U << i);
    }
    p = next;
  }
#endif
  for (;;) {
    p = skip_plain(p, end);
    if (end - p < 2 || *p != '\\' || escaped_byte(p[1]) == '\0') return {p, had_escapes};
    had_escapes = true;
    p += 2;
  }
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
