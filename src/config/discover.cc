#include "config/discover.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>
#include <vector>

#include "config/words.h"
#include "config/yaml_tree.h"

namespace drover::config {
namespace {

namespace fs = std::filesystem;

constexpr char kSystemFile[] = "/etc/drover/drover.yaml";

Error refuse(std::string message) {
  return Error{ErrorKind::kConfig, Origin::kSelf, Retry::kNever, std::move(message)};
}

// Reads one byte more than is allowed, so that the reader of YAML can say "too long".
Result<std::optional<FileText>> read_text(const std::string& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    return refuse(
        fmt::format("{}: is a directory; name the configuration file in it", quote_path(path)));
  }
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    return refuse(fmt::format("{}: cannot be read ({}); check the path and its permissions",
                              quote_path(path), std::strerror(errno)));
  }
  FileText file{path, std::string(kMaxFileBytes + 1, '\0')};
  in.read(file.text.data(), static_cast<std::streamsize>(file.text.size()));
  if (in.bad()) return refuse(fmt::format("{}: reading failed; try again", quote_path(path)));
  file.text.resize(static_cast<std::size_t>(in.gcount()));
  return std::optional<FileText>(std::move(file));
}

Result<std::optional<FileText>> read_named(const std::string& path, std::string_view source) {
  auto file = read_text(path);
  if (file) return file;
  return refuse(fmt::format("{}: {}", source, file.error().message));
}

// Where people's own files live; nothing without a home.
std::optional<std::string> personal_file(const Environment& environment) {
  // The XDG specification: a relative path there is to be ignored.
  if (auto xdg = environment("XDG_CONFIG_HOME"); xdg && xdg->starts_with('/')) {
    return *xdg + "/drover/drover.yaml";
  }
  if (auto home = environment("HOME")) return *home + "/.config/drover/drover.yaml";
  return std::nullopt;
}

bool exists(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  // What cannot be looked at may be there: reading it will say why not.
  return fs::exists(status) || (error && error != std::errc::no_such_file_or_directory &&
                                error != std::errc::not_a_directory);
}

}  // namespace

Environment process_environment() {
  return [](std::string_view name) -> std::optional<std::string> {
    const char* value = std::getenv(std::string(name).c_str());
    if (value == nullptr || *value == '\0') return std::nullopt;
    return std::string(value);
  };
}

Result<std::optional<FileText>> find_file(const std::optional<std::string>& flag,
                                          const Environment& environment) {
  if (flag) return read_named(*flag, "--config");
  if (const auto named = environment("DROVER_CONFIG")) return read_named(*named, "DROVER_CONFIG");
  if (const auto personal = personal_file(environment); personal && exists(*personal)) {
    return read_text(*personal);
  }
  if (exists(kSystemFile)) return read_text(kSystemFile);
  return std::optional<FileText>();
}

std::vector<Setting> environment_settings(const Environment& environment) {
  struct Known {
    std::string_view variable;
    std::string_view key;
  };
  constexpr std::array<Known, 4> kKnown = {{{"DROVER_LISTEN", "listen"},
                                            {"DROVER_ADMIN", "admin"},
                                            {"DROVER_POLICY", "policy"},
                                            {"DROVER_BACKENDS", "backends"}}};
  std::vector<Setting> settings;
  for (const Known& known : kKnown) {
    if (auto value = environment(known.variable)) {
      settings.push_back({std::string(known.variable), std::string(known.key), *std::move(value)});
    }
  }
  return settings;
}

}  // namespace drover::config
