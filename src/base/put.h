#pragma once
// Text written piece by piece into memory that is known to have room for all of it: for heads and
// log lines, of which every request has some. Each call returns where the next one goes on.

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace drover {

inline constexpr std::size_t kNumberRoom = 20;  // of a whole number

// Both ends of a piece that has at least one Word and at most two; they may overlap.
template <class Word>
void put_ends(char* at, std::string_view text) {
  Word first;
  Word last;
  const std::size_t behind = text.size() - sizeof(Word);
  std::memcpy(&first, text.data(), sizeof(Word));
  std::memcpy(&last, text.data() + behind, sizeof(Word));
  std::memcpy(at, &first, sizeof(Word));
  std::memcpy(at + behind, &last, sizeof(Word));
}

// Nearly all pieces are short, and a call of memcpy() costs more than they do.
inline char* put(char* at, std::string_view text) {
  const std::size_t size = text.size();
  if (size > 16) {
    std::memcpy(at, text.data(), size);
  } else if (size >= 8) {
    put_ends<std::uint64_t>(at, text);
  } else if (size >= 4) {
    put_ends<std::uint32_t>(at, text);
  } else if (size >= 2) {
    put_ends<std::uint16_t>(at, text);
  } else if (size == 1) {
    *at = text.front();
  }
  return at + size;
}
inline char* put(char* at, char c) {
  *at = c;
  return at + 1;
}
inline char* put_number(char* at, std::uint64_t number) {
  return std::to_chars(at, at + kNumberRoom, number).ptr;
}

}  // namespace drover
