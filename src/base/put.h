#pragma once
// Text written piece by piece into memory that is known to have room for all of it: for heads and
// log lines, of which every request has some. Each call returns where the next one goes on.

#include <charconv>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace drover {

inline constexpr std::size_t kNumberRoom = 20;  // of a whole number

inline char* put(char* at, std::string_view text) {
  if (!text.empty()) std::memcpy(at, text.data(), text.size());
  return at + text.size();
}
inline char* put(char* at, char c) {
  *at = c;
  return at + 1;
}
inline char* put_number(char* at, std::uint64_t number) {
  return std::to_chars(at, at + kNumberRoom, number).ptr;
}

}  // namespace drover
