// Rules about #include lines: the include table, in the one place where a program reads it.
#include <algorithm>
#include <optional>
#include <string>

#include "rules.h"

namespace tidy {

namespace {

struct Include {
  std::size_t line = 0;
  bool ours = false;  // With quotes.
  std::string path;
};

std::vector<Include> includes_of(const File& file) {
  std::vector<Include> found;
  for (std::size_t i = 0; i < file.lines.size(); ++i) {
    if (!trim(file.lines[i].code).starts_with("#include")) continue;
    const std::string& raw = file.lines[i].raw;
    const std::size_t open = raw.find_first_of("\"<");
    if (open == std::string::npos) continue;
    const std::size_t close = raw.find_first_of("\">", open + 1);
    if (close == std::string::npos) continue;
    found.push_back({i + 1, raw[open] == '"', raw.substr(open + 1, close - open - 1)});
  }
  return found;
}

struct Grant {
  std::string_view folder;
  std::vector<std::string_view> may_include;
};

// STYLE.md explains the table. `app` and the whole-daemon tests may include everything.
const std::vector<Grant>& table() {
  static const std::vector<Grant> kGrants = {
      {"base", {}},
      {"core", {"base"}},
      {"wire", {"base"}},
      {"config", {"base"}},
      {"net", {"wire", "base"}},
      {"store", {"base"}},
      {"engine", {"core", "net", "base"}},
      {"gateway", {"jobs", "engine", "net", "wire", "store", "core", "base"}},
      {"jobs", {"engine", "net", "wire", "store", "core", "base"}},
      {"probe", {"engine", "net", "wire", "store", "core", "base"}},
      {"export", {"engine", "core", "base"}},
      {"keeper", {"net", "wire", "config", "base"}},
      {"sim", {"core", "base"}},
      {"simnet", {"net", "wire", "base"}},
      {"fake_ollama", {"net", "wire", "base"}},
  };
  return kGrants;
}

// The folder that the include table knows this file by: src/X/… and test/X/… are both X.
std::optional<std::string> folder_of(const File& file) {
  for (std::string_view root : {"src/", "test/"}) {
    if (!file.is_below(root)) continue;
    const std::size_t end = file.path.find('/', root.size());
    if (end == std::string::npos) return std::nullopt;
    std::string folder = file.path.substr(root.size(), end - root.size());
    // test/gateway and test/e2e see the whole daemon; only the two libraries there are bound.
    if (root == "test/" && folder != "simnet" && folder != "fake_ollama") return std::nullopt;
    return folder;
  }
  return std::nullopt;
}

// Of net, the engine uses the loop and its waits; sockets belong to those who serve requests.
bool is_socket_header(std::string_view include) {
  for (std::string_view name : {"net/stream", "net/upstream", "net/resolver", "net/listener",
                                "net/client", "net/epoll", "net/tls"}) {
    if (include.starts_with(name)) return true;
  }
  return false;
}

// Tests, and headers that serve them: a_test.cc, test_client.h, testing.h.
bool is_for_tests(const File& file) {
  return file.path.find("test", file.path.rfind('/') + 1) != std::string::npos;
}

// The file's own header, when the tree has one: src/core/picker.cc → src/core/picker.h.
std::string header_of(const File& file) { return file.path.substr(0, file.path.size() - 2) + "h"; }

std::string without_root(std::string_view path) {
  const std::size_t slash = path.find('/');
  return std::string(path.substr(slash + 1));
}

}  // namespace

void check_include_direction(const Rule& rule, const File& file, Findings& out) {
  const std::optional<std::string> folder = folder_of(file);
  if (!file.is_cxx() || !folder || *folder == "app") return;
  const auto grant = std::find_if(table().begin(), table().end(),
                                  [&](const Grant& g) { return g.folder == *folder; });
  if (grant == table().end()) {
    report(rule, file, 1, "folder `" + *folder + "` is not in the include table", out);
    return;
  }
  for (const Include& include : includes_of(file)) {
    if (!include.ours || include.path == "drover_version.h") continue;
    const std::size_t slash = include.path.find('/');
    if (slash == std::string::npos) {
      report(rule, file, include.line, "write the folder: `" + include.path + "`", out);
      continue;
    }
    const std::string target = include.path.substr(0, slash);
    if (target == *folder) continue;
    // The simulated network is how a module's own tests run without sockets.
    if (target == "simnet" && is_for_tests(file)) continue;
    const auto& granted = grant->may_include;
    const bool allowed =
        std::find(granted.begin(), granted.end(), target) != granted.end() &&
        !(*folder == "engine" && is_socket_header(include.path) && !is_for_tests(file));
    if (!allowed) {
      report(rule, file, include.line, *folder + " may not include " + include.path, out);
    }
  }
}

void check_pure_core(const Rule& rule, const File& file, Findings& out) {
  if (!file.is_below("src/core/") && !file.is_below("src/wire/")) return;
  for (const Include& include : includes_of(file)) {
    for (std::string_view banned :
         {"thread", "mutex", "condition_variable", "future", "iostream", "fstream", "filesystem",
          "coroutine", "unistd.h", "netdb.h", "sys/", "netinet/", "arpa/", "base/log.h"}) {
      if (!include.path.starts_with(banned) || file.path.ends_with("_test.cc")) continue;
      report(rule, file, include.line, "`" + include.path + "`", out);
    }
  }
}

void check_own_header_first(const Rule& rule, std::span<const File> files, Findings& out) {
  for (const File& file : files) {
    if (!file.path.ends_with(".cc") || !folder_of(file)) continue;
    const std::string header = header_of(file);
    const bool exists = std::any_of(files.begin(), files.end(),
                                    [&](const File& other) { return other.path == header; });
    const std::vector<Include> includes = includes_of(file);
    if (!exists || includes.empty()) continue;
    if (includes.front().path == without_root(header)) continue;
    report(rule, file, includes.front().line, "expected " + without_root(header) + " first", out);
  }
}

}  // namespace tidy
