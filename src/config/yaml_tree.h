#pragma once
// YAML text as a small tree with places. Built from the library's events and not from its node
// graph, because the graph drops duplicate keys, resolves aliases (the "billion laughs") and knows
// no bound. No exception leaves yaml_tree.cc.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace drover::config {

// Counted from 1; a column counts characters. Line 0 means the whole file.
struct Place {
  int line = 0;
  int column = 0;
};

struct YamlNode {
  enum class Kind : std::uint8_t { kNothing, kScalar, kList, kMapping };
  Kind kind = Kind::kNothing;
  Place place;
  std::string text;                                 // kScalar
  std::vector<YamlNode> items;                      // kList, or the values of kMapping
  std::vector<std::pair<std::string, Place>> keys;  // kMapping, in step with `items`
};

// What a configuration may be at most. Generous: the longest sensible file is a few kilobytes.
inline constexpr std::size_t kMaxFileBytes = 256 * 1024;
inline constexpr int kMaxDepth = 16;
inline constexpr std::size_t kMaxNodes = 20'000;

struct YamlTree {
  YamlNode root;  // kNothing for an empty file
  struct Refusal {
    Place place;
    std::string message;
  };
  std::optional<Refusal> refused;  // set: the text could not be read, `root` is empty
};

YamlTree read_yaml(std::string_view text);

}  // namespace drover::config
