#pragma once
// Reading answers back: small and strict.

#include <cstddef>
#include <string>
#include <string_view>

namespace drover::simtest {

// The text of a native stream: its records joined. `done` is set when the last one says done.
struct NativeText {
  std::string text;
  bool done = false;
  std::string error;        // of the first record that has one
  bool well_formed = true;  // every line is a JSON object
  std::size_t records = 0;
};
NativeText read_native(std::string_view body);

bool is_json(std::string_view text);
// The string at a path of keys, joined by '/'; empty when it is not there.
std::string json_text(std::string_view json, std::string_view path);

}  // namespace drover::simtest
