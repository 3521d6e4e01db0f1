#include "keeper/systemd_units.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>

#include "keeper/instance_list.h"
#include "keeper/systemd_texts.h"

namespace drover::keeper {
namespace {

constexpr std::string_view kInstanceFolder = "/etc/drover/instances/";

Error wrong(std::string message) {
  return {ErrorKind::kConfig, Origin::kSelf, Retry::kNever, std::move(message)};
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

bool is_variable_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !name.empty() && (name.front() < '0' || name.front() > '9') &&
         std::all_of(name.begin(), name.end(), allowed);
}

// One word of a unit file: '%' begins a specifier, quotes and backslashes are C's.
std::string word(std::string_view text) {
  std::string out;
  bool quoted = false;
  for (const char c : text) {
    if (c == '%') out += '%';
    if (c == '"' || c == '\\') out += '\\';
    quoted = quoted || c == ' ' || c == '"' || c == '\'' || c == '\\' || c == ';' || c == '#';
    out += c;
  }
  return quoted ? '"' + out + '"' : out;
}

// A word of a command line, where '$' would begin a variable as well.
std::string argument(std::string_view text) {
  std::string out;
  for (const char c : word(text)) {
    if (c == '$') out += '$';
    out += c;
  }
  return out;
}

// One line of an EnvironmentFile=. Inside double quotes a backslash keeps the next character.
std::string assignment(const Variable& variable) {
  std::string value;
  for (const char c : variable.second) {
    if (c == '"' || c == '\\' || c == '$' || c == '`') value += '\\';
    value += c;
  }
  return fmt::format("{}=\"{}\"\n", variable.first, value);
}

// Later wins, in the place of the earlier.
void put(std::vector<Variable>& into, Variable variable) {
  const auto same = std::find_if(into.begin(), into.end(),
                                 [&](const Variable& v) { return v.first == variable.first; });
  if (same == into.end()) {
    into.push_back(std::move(variable));
  } else {
    same->second = std::move(variable.second);
  }
}

std::string joined(const std::vector<std::string>& parts) {
  return fmt::format("{}", fmt::join(parts, ","));
}

// What makes an instance see its own GPUs and no other. UUIDs, because indexes change with a
// restart. Vulkan does not obey these variables and would show it the others' GPUs.
void pin(const SystemdInstance& instance, std::vector<Variable>& into) {
  if (!instance.vendor || instance.gpus.empty()) return;
  switch (*instance.vendor) {
    case GpuVendor::kNvidia:
      put(into, {"CUDA_VISIBLE_DEVICES", joined(instance.gpus)});
      put(into, {"CUDA_DEVICE_ORDER", "PCI_BUS_ID"});
      put(into, {"ROCR_VISIBLE_DEVICES", "-1"});
      break;
    case GpuVendor::kAmd:
      // Not CUDA_VISIBLE_DEVICES=-1 beside it: ROCm reads that as its own.
      put(into, {"ROCR_VISIBLE_DEVICES", joined(instance.gpus)});
      break;
    case GpuVendor::kIntel:
      return;  // reached by Vulkan alone, which has no names that last
  }
  put(into, {"OLLAMA_VULKAN", "0"});
  put(into, {"GGML_VK_VISIBLE_DEVICES", "-1"});
}

std::vector<Variable> variables_of(const SystemdLayout& layout, const SystemdInstance& instance) {
  std::vector<Variable> all;
  put(all, {"OLLAMA_MODELS", layout.store()});
  // A store is shared: at its start an instance would delete the unfinished pulls of the others.
  put(all, {"OLLAMA_NOPRUNE", "1"});
  pin(instance, all);
  for (const Variable& variable : instance.environment) put(all, variable);
  put(all, {"OLLAMA_HOST", fmt::format("127.0.0.1:{}", instance.port)});
  return all;
}

Result<void> check_path(std::string_view what, std::string_view path) {
  if (path.empty() || path.front() != '/' || has_control(path)) {
    return wrong(fmt::format("{} must be an absolute path, not '{}'", what, path));
  }
  return {};
}

Result<void> check_instance(const SystemdInstance& instance) {
  if (!is_instance_name(instance.name)) {
    return wrong(
        fmt::format("the name '{}' cannot be part of a unit's name; use letters, digits "
                    "and _ - . :",
                    instance.name));
  }
  if (instance.port == 0) {
    return wrong(fmt::format("{} has no port; give it one of its own", instance.name));
  }
  for (const auto& [name, value] : instance.environment) {
    if (!is_variable_name(name) || has_control(value)) {
      return wrong(
          fmt::format("{}: '{}' cannot be set as a variable; it needs a plain name and a "
                      "value on one line",
                      instance.name, name));
    }
  }
  for (const std::string& gpu : instance.gpus) {
    if (gpu.empty() || has_control(gpu) || gpu.find_first_of(" ,") != std::string::npos) {
      return wrong(fmt::format("{}: '{}' is no GPU's UUID", instance.name, gpu));
    }
  }
  return {};
}

Result<void> check(const SystemdLayout& layout) {
  const std::string store = layout.store();
  for (const auto& [what, path] :
       {std::pair<std::string_view, std::string_view>{"the drover program", layout.drover},
        {"the ollama program", layout.ollama},
        {"the home of the instances' user", layout.user_home},
        {"the model store", store}}) {
    if (Result<void> fine = check_path(what, path); !fine) return fine;
  }
  if (!layout.state_dir.empty()) {
    if (Result<void> fine = check_path("state_dir", layout.state_dir); !fine) return fine;
    if (is_in_a_home(layout.state_dir)) {
      return wrong(
          fmt::format("state_dir {} is in a home, which the services do not see; choose "
                      "another, or leave it out",
                      layout.state_dir));
    }
  }
  if (!is_instance_name(layout.user) || !is_instance_name(layout.group)) {
    return wrong(fmt::format("'{}:{}' is no user and group", layout.user, layout.group));
  }
  for (std::size_t i = 0; i < layout.instances.size(); ++i) {
    const SystemdInstance& instance = layout.instances[i];
    if (Result<void> fine = check_instance(instance); !fine) return fine;
    for (std::size_t j = 0; j < i; ++j) {
      const SystemdInstance& other = layout.instances[j];
      if (other.name != instance.name && other.port != instance.port) continue;
      return wrong(fmt::format("{} and {} share a name or the port {}; give each its own",
                               other.name, instance.name, instance.port));
    }
  }
  return {};
}

// Writable for the instances, and visible where homes are hidden.
std::string store_access(const SystemdLayout& layout) {
  std::vector<std::string> paths = {layout.user_home + "/.ollama"};
  if (!layout.store().starts_with(paths.front() + "/")) paths.push_back(layout.store());
  std::string out;
  for (const std::string& path : paths) {
    // The '-': a path that is not there yet is Ollama's to complain about, with a better message.
    out += fmt::format("{}=-{}\n", is_in_a_home(path) ? "BindPaths" : "ReadWritePaths", word(path));
  }
  return out;
}

// A state directory of the operator's choice, which has to be there and to belong to the gateway.
std::string state_access(const SystemdLayout& layout) {
  return layout.state_dir.empty() ? ""
                                  : fmt::format("ReadWritePaths=-{}\n", word(layout.state_dir));
}

std::string command(const SystemdLayout& layout, std::string_view verb) {
  std::string line = fmt::format("{} {}", argument(layout.drover), verb);
  // The gateway is told by the keeper.
  if (!layout.config.empty() && verb != "gateway") line += " --config " + argument(layout.config);
  return line;
}

std::string environment_text(const SystemdLayout& layout, const SystemdInstance& instance) {
  std::string text = fmt::format("# Variables of {}, written by drover systemd install.\n",
                                 instance_unit(instance.name));
  for (const Variable& variable : variables_of(layout, instance)) text += assignment(variable);
  return text;
}

// Several GPUs, of which another instance has one, too: for what fits on no single one.
bool is_spanning(const SystemdLayout& layout, const SystemdInstance& instance) {
  if (instance.gpus.size() < 2) return false;
  return std::any_of(layout.instances.begin(), layout.instances.end(), [&](const auto& other) {
    return other.name != instance.name &&
           std::find_first_of(other.gpus.begin(), other.gpus.end(), instance.gpus.begin(),
                              instance.gpus.end()) != other.gpus.end();
  });
}

std::string list_text(const SystemdLayout& layout) {
  std::vector<ListedInstance> listed;
  for (const SystemdInstance& each : layout.instances) {
    listed.push_back({each.name, each.port, each.gpus, is_spanning(layout, each)});
  }
  return write_instance_list(listed);
}

std::string instance_template(const SystemdLayout& layout) {
  const std::string earlier =
      layout.environment_file.empty()
          ? ""
          : fmt::format("EnvironmentFile=-{}\n", word(layout.environment_file));
  return fmt::format(
      texts::kInstance, fmt::arg("user", layout.user), fmt::arg("group", layout.group),
      fmt::arg("earlier", earlier), fmt::arg("folder", kInstanceFolder),
      fmt::arg("ollama", argument(layout.ollama)), fmt::arg("store", store_access(layout)),
      fmt::arg("sandbox", texts::kSandbox), fmt::arg("devices", texts::kDevices));
}

std::string socket_text(std::string_view what, std::string_view name,
                        const std::vector<std::string>& addresses) {
  std::string listen;
  for (const std::string& address : addresses) listen += "ListenStream=" + address + "\n";
  return fmt::format(texts::kSocket, fmt::arg("what", what), fmt::arg("name", name),
                     fmt::arg("listen", listen));
}

}  // namespace

std::string SystemdLayout::store() const {
  return model_store.empty() ? user_home + "/.ollama/models" : model_store;
}

bool is_in_a_home(std::string_view path) {
  // tidy: allow(private-path) not of one machine: what ProtectHome= hides on every one
  return path.starts_with("/home/") || path.starts_with("/root/");
}

std::string instance_unit(std::string_view name) {
  return fmt::format("drover-ollama@{}.service", name);
}

std::string instance_environment_path(std::string_view name) {
  return fmt::format("{}{}.env", kInstanceFolder, name);
}

Result<std::vector<SystemdFile>> systemd_files(const SystemdLayout& layout) {
  if (Result<void> fine = check(layout); !fine) return fine.error();
  const bool package = layout.home == SystemdHome::kPackage;
  const std::string units = package ? "/lib/systemd/system/" : "/etc/systemd/system/";
  const auto stop_seconds = std::chrono::ceil<std::chrono::seconds>(layout.drain).count() + 30;

  std::vector<SystemdFile> files = {
      {units + "drover.socket", socket_text("address for clients", "client", layout.client)},
      {units + "drover-admin.socket", socket_text("admin address", "admin", {layout.admin})},
      {units + "drover.service",
       fmt::format(texts::kGateway, fmt::arg("command", command(layout, "gateway")),
                   fmt::arg("stop", stop_seconds), fmt::arg("state", state_access(layout)),
                   fmt::arg("sandbox", texts::kSandbox))},
      {units + "drover-keeper.service",
       fmt::format(texts::kKeeper, fmt::arg("command", command(layout, "keeper")),
                   fmt::arg("sandbox", texts::kSandbox), fmt::arg("devices", texts::kDevices))},
      {units + "drover-ollama@.service", instance_template(layout)}};
  for (const SystemdInstance& instance : layout.instances) {
    files.push_back(
        {instance_environment_path(instance.name), environment_text(layout, instance), 0600});
  }
  // A package knows no machine's instances.
  if (!package) files.push_back({kInstanceListPath, list_text(layout)});
  files.push_back({package ? "/usr/lib/sysusers.d/drover.conf" : "/etc/sysusers.d/drover.conf",
                   std::string(texts::kUsers)});
  files.push_back({package ? "/usr/lib/tmpfiles.d/drover.conf" : "/etc/tmpfiles.d/drover.conf",
                   std::string(texts::kFolders)});
  files.push_back({package ? "/usr/share/polkit-1/rules.d/50-drover.rules"
                           : "/etc/polkit-1/rules.d/50-drover.rules",
                   std::string(texts::kRights)});
  return files;
}

}  // namespace drover::keeper
