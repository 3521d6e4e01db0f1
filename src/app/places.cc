#include "app/places.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string_view>

namespace drover::app {
namespace {

namespace fs = std::filesystem;

bool can_run(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) && ::access(path.c_str(), X_OK) == 0;
}

}  // namespace

Result<std::string> own_program() {
  std::error_code error;
  const fs::path path = fs::read_symlink("/proc/self/exe", error);
  if (!error && can_run(path)) return path.string();
  // Replaced while it runs: the old file has no name any more, but the link still leads to it.
  if (!error) return std::string("/proc/self/exe");
  return Error{ErrorKind::kSystem, Origin::kSelf, Retry::kNever,
               "cannot find drover's own program: " + error.message()};
}

Result<std::string> find_ollama(const config::OllamaSettings& settings,
                                const config::Environment& environment) {
  if (settings.program) {
    if (can_run(*settings.program)) return *settings.program;
    return Error{ErrorKind::kConfig, Origin::kSelf, Retry::kNever,
                 fmt::format("ollama.program is {}, which is no program that can be run",
                             *settings.program)};
  }
  std::string places = environment("PATH").value_or("");
  places += ":/usr/local/bin:/usr/bin";
  std::string_view rest = places;
  while (!rest.empty()) {
    const std::string_view place = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(place.size() + 1, rest.size()));
    const fs::path path = fs::path(place) / "ollama";
    if (path.is_absolute() && can_run(path)) return path.string();
  }
  return Error{ErrorKind::kConfig, Origin::kSelf, Retry::kNever,
               "the ollama program is not in PATH, /usr/local/bin or /usr/bin; install Ollama, or "
               "name it with ollama.program"};
}

std::string state_dir(const config::Config& config, const config::Environment& environment) {
  if (config.state_dir) return *config.state_dir;
  if (const auto given = environment("STATE_DIRECTORY")) {
    return given->substr(0, given->find(':'));  // systemd may name several
  }
  if (::geteuid() == 0) return "/var/lib/drover";
  if (const auto base = environment("XDG_STATE_HOME")) return *base + "/drover";
  return environment("HOME").value_or("/tmp") + "/.local/state/drover";
}

std::string log_dir(const std::string& state_dir) { return state_dir + "/logs"; }

std::string store_dir(const std::string& state_dir) { return state_dir + "/store"; }

Result<void> make_directory(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (!error) return {};
  return Error{ErrorKind::kSystem, Origin::kSelf, Retry::kNever,
               fmt::format("cannot make the directory {}: {}; choose another with state_dir", path,
                           error.message())};
}

}  // namespace drover::app
