#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tidy {

// One line of a source file, seen twice: as written, and as code alone. In `code` the comments and
// the insides of strings are blanks, so columns agree and a rule never trips over prose.
struct Line {
  std::string raw;
  std::string code;
  std::string comment;
  bool in_raw_string = false;  // The line begins inside a raw string literal.
};

// A file of the tree. `path` is relative to the root and uses forward slashes.
struct File {
  std::string path;
  std::vector<Line> lines;
  std::string code;                 // All `code` lines, each ended by '\n'.
  std::vector<std::size_t> starts;  // Where each line starts in `code`.

  bool is_cxx() const { return is_header() || path.ends_with(".cc"); }
  bool is_header() const { return path.ends_with(".h"); }
  bool is_test() const { return path.ends_with("_test.cc") || path.starts_with("test/"); }
  bool is_below(std::string_view prefix) const { return path.starts_with(prefix); }
  // The line number, from 1, of an offset into `code`.
  std::size_t line_at(std::size_t offset) const;
};

// Splits text into lines; comments and strings are recognised for C++ files only.
File read_lines(std::string path, std::string_view text);

bool is_word(char c);
std::string_view trim(std::string_view text);

// The next place at or after `from` where `word` stands alone: not as part of a longer identifier.
std::size_t find_word(std::string_view text, std::string_view word, std::size_t from = 0);

// The offset of the bracket that closes the one at `open`, or npos.
std::size_t find_close(std::string_view code, std::size_t open);

}  // namespace tidy
