#include "keeper/process_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <memory>

namespace drover::keeper {
namespace {

// Files of /proc are small and have no size; an environment may be large.
constexpr std::size_t kLargestFile = std::size_t{1} << 20;

std::optional<std::string> read_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  std::string text;
  char buffer[8192];
  ssize_t count = 0;
  while (text.size() < kLargestFile && (count = ::read(fd, buffer, sizeof(buffer))) > 0) {
    text.append(buffer, static_cast<std::size_t>(count));
  }
  ::close(fd);
  if (count < 0) return std::nullopt;
  return text;
}

template <class Number>
std::optional<Number> number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Names of a directory that are numbers.
std::vector<pid_t> numbered_entries(const std::string& path) {
  std::vector<pid_t> found;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(path.c_str()), ::closedir);
  if (!dir) return found;
  while (const dirent* entry = ::readdir(dir.get())) {
    if (const auto pid = number<pid_t>(entry->d_name)) found.push_back(*pid);
  }
  return found;
}

// The fields of /proc/PID/stat after the name, which may hold blanks and brackets itself.
std::vector<std::string_view> stat_fields(const std::string& stat) {
  std::vector<std::string_view> fields;
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return fields;
  std::string_view rest = std::string_view(stat).substr(name_end + 1);
  while (!rest.empty()) {
    const std::size_t begin = rest.find_first_not_of(" \n");
    if (begin == std::string_view::npos) break;
    const std::size_t end = std::min(rest.find_first_of(" \n", begin), rest.size());
    fields.push_back(rest.substr(begin, end - begin));
    rest.remove_prefix(end);
  }
  return fields;
}

// Places in stat_fields(): proc(5) counts from 1 and the name is the second.
constexpr std::size_t kState = 0, kParent = 1, kUserTime = 11, kSystemTime = 12,
                      kChildUserTime = 13, kChildSystemTime = 14, kStartTime = 19, kRss = 21;

std::vector<std::string_view> stat_of(pid_t pid, const std::string& proc, std::string& storage) {
  std::optional<std::string> stat = read_file(fmt::format("{}/{}/stat", proc, pid));
  if (!stat) return {};
  storage = *std::move(stat);
  std::vector<std::string_view> fields = stat_fields(storage);
  if (fields.size() <= kRss) fields.clear();
  return fields;
}

enum class Zombies : std::uint8_t { kLeftOut, kListed };

std::multimap<pid_t, pid_t> children_by_parent(const std::string& proc, Zombies zombies) {
  std::multimap<pid_t, pid_t> children;
  std::string storage;
  for (const pid_t pid : numbered_entries(proc)) {
    const auto fields = stat_of(pid, proc, storage);
    if (fields.empty()) continue;
    if (zombies == Zombies::kLeftOut && fields[kState] == "Z") continue;
    if (const auto parent = number<pid_t>(fields[kParent])) children.emplace(*parent, pid);
  }
  return children;
}

std::optional<std::string> environment_value(pid_t pid, std::string_view name,
                                             const std::string& proc) {
  const auto text = read_file(fmt::format("{}/{}/environ", proc, pid));
  if (!text) return std::nullopt;
  std::string_view rest = *text;
  while (!rest.empty()) {
    const std::string_view entry = rest.substr(0, rest.find('\0'));
    if (entry.starts_with(name) && entry.substr(name.size()).starts_with('=')) {
      return std::string(entry.substr(name.size() + 1));
    }
    rest.remove_prefix(std::min(entry.size() + 1, rest.size()));
  }
  return std::nullopt;
}

std::string namespace_of(pid_t pid, const std::string& proc) {
  char name[64] = {};
  const std::string path = fmt::format("{}/{}/ns/pid", proc, pid);
  const ssize_t size = ::readlink(path.c_str(), name, sizeof(name) - 1);
  return size < 0 ? std::string() : std::string(name, static_cast<std::size_t>(size));
}

}  // namespace

std::vector<pid_t> process_tree(pid_t root, const std::string& proc) {
  std::string storage;
  if (stat_of(root, proc, storage).empty()) return {};
  const auto children = children_by_parent(proc, Zombies::kLeftOut);
  std::vector<pid_t> tree = {root};
  for (std::size_t i = 0; i < tree.size(); ++i) {
    const auto [begin, end] = children.equal_range(tree[i]);
    for (auto child = begin; child != end; ++child) tree.push_back(child->second);
  }
  return tree;
}

std::vector<pid_t> children_of(pid_t parent, const std::string& proc) {
  const auto children = children_by_parent(proc, Zombies::kListed);
  std::vector<pid_t> found;
  const auto [begin, end] = children.equal_range(parent);
  for (auto child = begin; child != end; ++child) found.push_back(child->second);
  return found;
}

TreeUse measure(const std::vector<pid_t>& pids, const std::string& proc) {
  static const long ticks_per_second = ::sysconf(_SC_CLK_TCK);
  static const long page_bytes = ::sysconf(_SC_PAGESIZE);
  TreeUse use;
  std::uint64_t ticks = 0;
  std::string storage;
  for (const pid_t pid : pids) {
    const auto fields = stat_of(pid, proc, storage);
    if (fields.empty()) continue;
    ++use.processes;
    for (const std::size_t field : {kUserTime, kSystemTime, kChildUserTime, kChildSystemTime}) {
      ticks += number<std::uint64_t>(fields[field]).value_or(0);
    }
    use.rss_bytes +=
        number<std::uint64_t>(fields[kRss]).value_or(0) * static_cast<std::uint64_t>(page_bytes);
    use.open_files +=
        static_cast<std::uint32_t>(numbered_entries(fmt::format("{}/{}/fd", proc, pid)).size());
  }
  use.cpu = std::chrono::nanoseconds(
      ticks * (1'000'000'000 / static_cast<std::uint64_t>(ticks_per_second)));
  return use;
}

std::string ProcessIdentity::to_string() const { return fmt::format("{}@{}", pid, start_ticks); }

std::optional<ProcessIdentity> ProcessIdentity::parse(std::string_view text) {
  const std::size_t at = text.find('@');
  if (at == std::string_view::npos) return std::nullopt;
  const auto pid = number<pid_t>(text.substr(0, at));
  const auto start = number<std::uint64_t>(text.substr(at + 1));
  if (!pid || !start) return std::nullopt;
  return ProcessIdentity{*pid, *start};
}

std::optional<ProcessIdentity> identify(pid_t pid, const std::string& proc) {
  std::string storage;
  const auto fields = stat_of(pid, proc, storage);
  if (fields.empty() || fields[kState] == "Z") return std::nullopt;
  const auto start = number<std::uint64_t>(fields[kStartTime]);
  if (!start) return std::nullopt;
  return ProcessIdentity{pid, *start};
}

std::optional<ProcessIdentity> keeper_of(pid_t pid, const std::string& proc) {
  const auto mark = environment_value(pid, kKeeperMark, proc);
  return mark ? ProcessIdentity::parse(*mark) : std::nullopt;
}

std::vector<pid_t> leftovers(const std::string& proc) {
  std::vector<pid_t> found;
  for (const pid_t pid : numbered_entries(proc)) {
    const auto keeper = keeper_of(pid, proc);
    if (!keeper || pid == ::getpid() || identify(keeper->pid, proc) == keeper) continue;
    // In another namespace the number of its keeper means another process.
    if (namespace_of(pid, proc) == namespace_of(::getpid(), proc)) found.push_back(pid);
  }
  return found;
}

}  // namespace drover::keeper
