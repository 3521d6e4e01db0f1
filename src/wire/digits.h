#pragma once
// Digits, as every format here writes them.

namespace drover::wire {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

// -1 when `c` is no hexadecimal digit.
constexpr int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace drover::wire
