#pragma once
// Processes as /proc tells of them: who descends from whom, what a tree uses, and which marks its
// environment carries. Everything here may be out of date by the time it is returned; whoever kills
// by it looks again until nothing is left.

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace drover::keeper {

// `root` and all its descendants that exist, parents before children; empty when root is gone.
std::vector<pid_t> process_tree(pid_t root, const std::string& proc = "/proc");

// The direct children of `parent`, those that wait to be reaped included.
std::vector<pid_t> children_of(pid_t parent, const std::string& proc = "/proc");

struct TreeUse {
  std::uint32_t processes = 0;
  Duration cpu{};               // user and system, of those alive and of children they waited for
  std::uint64_t rss_bytes = 0;  // shared pages count for each
  std::uint32_t open_files = 0;
};
TreeUse measure(const std::vector<pid_t>& pids, const std::string& proc = "/proc");

// A process and not merely its number: numbers are used again.
struct ProcessIdentity {
  pid_t pid = 0;
  std::uint64_t start_ticks = 0;  // after boot
  std::string to_string() const;  // "4711@889123"
  static std::optional<ProcessIdentity> parse(std::string_view text);
  friend bool operator==(const ProcessIdentity&, const ProcessIdentity&) = default;
};
std::optional<ProcessIdentity> identify(pid_t pid, const std::string& proc = "/proc");

// What every process of an instance inherits: who keeps it. A process whose keeper is gone is a
// leftover, whichever drover started it.
inline constexpr std::string_view kKeeperMark = "DROVER_KEEPER";

// The keeper that a process is marked with; nothing: it carries no mark.
std::optional<ProcessIdentity> keeper_of(pid_t pid, const std::string& proc = "/proc");

// Processes whose environment says that they belong to a keeper that is not alive any more.
std::vector<pid_t> leftovers(const std::string& proc = "/proc");

}  // namespace drover::keeper
