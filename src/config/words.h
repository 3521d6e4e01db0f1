#pragma once
// Words for messages: foreign text made safe to print, and the known word that was probably meant.

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace drover::config {

// 'text' in single quotes: control bytes and what is not UTF-8 become \xNN, and more than 60 bytes
// are cut to "…", so that a hostile file can neither move a cursor nor flood a terminal.
std::string quote(std::string_view text);

// The same for a path, which is of no use when it is cut (up to 4096 bytes).
std::string quote_path(std::string_view path);

// The nearest of `known`, if it is near enough to be a slip: at most a third of the word's letters
// wrong, a swap of two neighbours counting as one.
std::optional<std::string_view> nearest(std::string_view word,
                                        std::span<const std::string_view> known);

// "a, b or c".
std::string either(std::span<const std::string_view> words);

}  // namespace drover::config
