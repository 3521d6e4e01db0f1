#pragma once
// A Config on its way: values, where each came from, and what was wrong so far. Internal to
// src/config; the public faces are load.h and overlay.h.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/load.h"
#include "config/overlay.h"
#include "config/yaml_tree.h"

namespace drover::config {

// Entries of one list at most: instances, addresses, names. Rules compare them pairwise.
inline constexpr std::size_t kMaxListItems = 256;

// Where a value was written. An empty source is the default.
struct Spot {
  std::string source;
  Place place;
};

struct Draft {
  Config config;
  std::vector<Problem> errors;
  std::vector<Problem> warnings;

  // In step with config.listen and config.backends. A value nobody wrote has an empty Spot.
  std::vector<Spot> listen_at{Spot{}};
  std::vector<Spot> backends_at;
  std::vector<Spot> supervised_at;                   // in step with config.ollama.instances
  std::map<std::string, Spot, std::less<>> written;  // other keys, by path

  void refuse(const Spot& spot, std::string message);
  void warn(const Spot& spot, std::string message);
  Spot where(std::string_view path) const;
};

// Reads the text into the draft.
void read_file(Draft& draft, std::string_view text, std::string_view file_name);

// Applies one value from outside the file. `repeated`: the same source gave this key just before.
enum class Repeat : std::uint8_t { kFirst, kAgain };
void apply_setting(Draft& draft, const Setting& setting, Repeat repeat);

// What concerns several keys at once: duplicates, loops, limits that contradict each other.
void check_together(Draft& draft);

}  // namespace drover::config
