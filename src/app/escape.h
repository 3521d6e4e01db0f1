#pragma once
// Foreign text made harmless for a log line, a terminal or a JSON document.

#include <cstddef>
#include <string>
#include <string_view>

namespace drover::app {

// Longer values are cut there and end in "…".
inline constexpr std::size_t kLongestValue = 2048;

// "text" as a JSON string, with quotes; bytes that are not UTF-8 become U+FFFD.
std::string json_quoted(std::string_view text);

// The same into memory that has room for quoted_bound(text) bytes; returns the end.
char* put_json_quoted(char* out, std::string_view text);
// More bytes than any function here makes of the text.
std::size_t quoted_bound(std::string_view text);

// For a terminal: control characters (ANSI sequences begin with one) and what is not UTF-8 become
// \n, \t or \xNN.
std::string text_words(std::string_view text);

// As text_words, in double quotes when it is empty or has a blank, a quote, '=' or an escape.
std::string text_value(std::string_view text);

}  // namespace drover::app
