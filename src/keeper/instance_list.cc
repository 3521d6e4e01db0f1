#include "keeper/instance_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace drover::keeper {
namespace {

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t end = text.find(at);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

bool is_uuid(std::string_view text) {
  const auto allowed = [](char c) { return c > ' ' && c < 0x7f; };
  return !text.empty() && text != "-" && std::all_of(text.begin(), text.end(), allowed);
}

Error wrong(std::size_t line, std::string_view what) {
  return {ErrorKind::kConfig, Origin::kSelf, Retry::kNever,
          fmt::format("line {} of the list of instances: {}; `drover systemd uninstall` and "
                      "`install` write it anew",
                      line, what)};
}

Result<ListedInstance> read_line(std::string_view text, std::size_t line) {
  const std::vector<std::string> words = split(text, ' ');
  if (words.size() != 4) return wrong(line, "it is not NAME PORT GPUS pinned|spanning");
  ListedInstance instance;
  instance.name = words[0];
  if (!is_instance_name(instance.name)) {
    return wrong(line, fmt::format("'{}' is no name of an instance", words[0]));
  }
  const std::string& port = words[1];
  const char* const port_end = port.data() + port.size();
  const auto [end, error] = std::from_chars(port.data(), port_end, instance.port);
  if (error != std::errc() || end != port_end || instance.port == 0) {
    return wrong(line, fmt::format("'{}' is no port", port));
  }
  if (words[2] != "-") instance.gpus = split(words[2], ',');
  if (!std::all_of(instance.gpus.begin(), instance.gpus.end(), is_uuid)) {
    return wrong(line, fmt::format("'{}' are no UUIDs of GPUs", words[2]));
  }
  instance.spanning = words[3] == "spanning";
  if (!instance.spanning && words[3] != "pinned") {
    return wrong(line, fmt::format("'{}' is neither pinned nor spanning", words[3]));
  }
  return instance;
}

}  // namespace

bool is_instance_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == ':';
  };
  return !name.empty() && name.size() <= 64 && name.front() != '.' && name.front() != '-' &&
         std::all_of(name.begin(), name.end(), allowed);
}

std::string write_instance_list(const std::vector<ListedInstance>& instances) {
  std::string text =
      "# The instances of drover, written by drover systemd install for drover keeper.\n"
      "# NAME PORT GPU-UUID,GPU-UUID|- pinned|spanning\n";
  for (const ListedInstance& each : instances) {
    text += fmt::format("{} {} {} {}\n", each.name, each.port,
                        each.gpus.empty() ? "-" : fmt::format("{}", fmt::join(each.gpus, ",")),
                        each.spanning ? "spanning" : "pinned");
  }
  return text;
}

Result<std::vector<ListedInstance>> read_instance_list(std::string_view text) {
  std::vector<ListedInstance> all;
  std::size_t number = 0;
  for (const std::string& line : split(text, '\n')) {
    ++number;
    if (line.empty() || line.front() == '#') continue;
    Result<ListedInstance> instance = read_line(line, number);
    if (!instance) return std::move(instance).error();
    const bool taken = std::any_of(all.begin(), all.end(), [&](const ListedInstance& other) {
      return other.name == instance->name || other.port == instance->port;
    });
    if (taken) return wrong(number, "its name or its port is that of an earlier line");
    all.push_back(*std::move(instance));
  }
  return all;
}

}  // namespace drover::keeper
