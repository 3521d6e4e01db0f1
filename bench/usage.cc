#include "usage.h"

#include <dirent.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

namespace drover::bench {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The fields of /proc/PID/stat behind the name, which may hold anything; the first is the state.
std::vector<std::string> stat_fields(pid_t process) {
  const std::string text = read_file(fmt::format("/proc/{}/stat", process));
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return {};
  std::istringstream rest(text.substr(name_end + 1));
  std::vector<std::string> fields;
  for (std::string field; rest >> field;) fields.push_back(field);
  return fields;
}

constexpr std::size_t kParentField = 1;  // counted from the state
constexpr std::size_t kUserField = 11;
constexpr std::size_t kKernelField = 12;
constexpr std::size_t kChildrenUserField = 13;
constexpr std::size_t kChildrenKernelField = 14;

std::uint64_t number(const std::string& text) { return std::strtoull(text.c_str(), nullptr, 10); }

std::vector<std::pair<pid_t, pid_t>> processes_and_parents() {
  std::vector<std::pair<pid_t, pid_t>> all;
  DIR* directory = ::opendir("/proc");
  if (directory == nullptr) die("/proc");
  while (const dirent* entry = ::readdir(directory)) {
    const pid_t process = static_cast<pid_t>(number(entry->d_name));
    if (process == 0) continue;
    const std::vector<std::string> fields = stat_fields(process);
    if (fields.size() <= kKernelField) continue;
    all.emplace_back(process, static_cast<pid_t>(number(fields[kParentField])));
  }
  ::closedir(directory);
  return all;
}

std::uint64_t exact_cpu_time(pid_t process) {
  clockid_t clock = 0;
  timespec used{};
  if (::clock_getcpuclockid(process, &clock) != 0 || ::clock_gettime(clock, &used) != 0) return 0;
  return static_cast<std::uint64_t>(used.tv_sec) * kSecond +
         static_cast<std::uint64_t>(used.tv_nsec);
}

std::uint64_t ended_children_time(pid_t process) {
  const std::vector<std::string> fields = stat_fields(process);
  if (fields.size() <= kChildrenKernelField) return 0;
  const std::uint64_t ticks =
      number(fields[kChildrenUserField]) + number(fields[kChildrenKernelField]);
  return ticks * (kSecond / kTicksPerSecond);
}

}  // namespace

std::vector<pid_t> process_tree(pid_t root) {
  const auto all = processes_and_parents();
  std::vector<pid_t> tree = {root};
  for (std::size_t i = 0; i < tree.size(); ++i) {
    for (const auto& [process, parent] : all) {
      if (parent == tree[i]) tree.push_back(process);
    }
  }
  return tree;
}

CpuTime cpu_time(const std::vector<pid_t>& processes) {
  CpuTime sum;
  for (const pid_t process : processes) {
    sum.ns += exact_cpu_time(process);
    const std::vector<std::string> fields = stat_fields(process);
    if (fields.size() <= kKernelField) continue;
    sum.user_ticks += number(fields[kUserField]);
    sum.kernel_ticks += number(fields[kKernelField]);
  }
  return sum;
}

Memory resident(const std::vector<pid_t>& processes) {
  Memory memory;
  for (const pid_t process : processes) {
    std::istringstream rollup(read_file(fmt::format("/proc/{}/smaps_rollup", process)));
    std::string word;
    while (rollup >> word && word != "Rss:") {
    }
    std::uint64_t kilobytes = 0;
    rollup >> kilobytes;
    memory.all_bytes += kilobytes * 1024;
    memory.largest_bytes = std::max(memory.largest_bytes, kilobytes * 1024);
  }
  return memory;
}

CoreTime core_time(const Cores& cores, std::uint64_t now) {
  constexpr std::size_t kIdle = 3;    // columns of /proc/stat, behind the name
  constexpr std::size_t kIoWait = 4;  // idle, too
  constexpr std::size_t kStolen = 7;
  constexpr std::uint64_t kTickNs = kSecond / kTicksPerSecond;
  std::istringstream stat(read_file("/proc/stat"));
  CoreTime time;
  std::uint64_t idle_ns = 0;
  for (std::string line; std::getline(stat, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    const bool wanted = std::any_of(cores.begin(), cores.end(),
                                    [&](int core) { return name == fmt::format("cpu{}", core); });
    if (!wanted) continue;
    const std::vector<std::uint64_t> ticks{std::istream_iterator<std::uint64_t>(words), {}};
    if (ticks.size() <= kStolen) continue;
    idle_ns += (ticks[kIdle] + ticks[kIoWait]) * kTickNs;
    time.stolen_ns += ticks[kStolen] * kTickNs;
  }
  time.busy_ns = now * cores.size() - idle_ns;
  return time;
}

OthersTime others_time(const std::vector<pid_t>& ours) {
  constexpr pid_t kKernelThreads = 2;  // their parent
  OthersTime others;
  for (const auto& [process, parent] : processes_and_parents()) {
    if (process == kKernelThreads || parent == kKernelThreads) continue;
    if (std::find(ours.begin(), ours.end(), process) != ours.end()) continue;
    others[process] = exact_cpu_time(process) + ended_children_time(process);
  }
  return others;
}

std::uint64_t grown(const OthersTime& before, const OthersTime& after) {
  std::uint64_t sum = 0;
  for (const auto& [process, time] : after) {
    const auto earlier = before.find(process);
    const std::uint64_t base = earlier == before.end() ? 0 : earlier->second;
    if (time > base) sum += time - base;
  }
  return sum;
}

}  // namespace drover::bench
