#pragma once
// The list of the instances that systemd owns, as `drover systemd install` writes it and the keeper
// reads it. The variables of an instance may hold a password and are root's alone; what the keeper
// has to know of it stands here, for everybody to read. One line for each instance:
//
//   NAME PORT GPU-UUID,GPU-UUID pinned|spanning        ('-' instead of GPUs: none)

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace drover::keeper {

inline constexpr const char* kInstanceListPath = "/etc/drover/instances.list";

struct ListedInstance {
  std::string name;
  std::uint16_t port = 0;
  std::vector<std::string> gpus;  // UUIDs
  bool spanning = false;          // several GPUs, of which others have one each
  friend bool operator==(const ListedInstance&, const ListedInstance&) = default;
};

std::string write_instance_list(const std::vector<ListedInstance>& instances);

// Error kConfig: a line that is none, with its number. Nothing is guessed: a wrong port would send
// requests to whatever serves there.
Result<std::vector<ListedInstance>> read_instance_list(std::string_view text);

// What can be the part of a unit's name after the @.
bool is_instance_name(std::string_view name);

}  // namespace drover::keeper
