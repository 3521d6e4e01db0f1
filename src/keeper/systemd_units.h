#pragma once
// drover as services of systemd: every file of the installation as a text, made from plain values.
// Nothing is read or written here, so `drover systemd print` and a test see what would be
// installed.
//
//   drover.socket, drover-admin.socket   bind the addresses and keep them while the gateway is away
//   drover.service                       the gateway: parses and relays, sees no device
//   drover-keeper.service                the keeper: reads the GPUs, starts and stops instances
//   drover-ollama@NAME.service           one pinned Ollama, owned and restarted by systemd
//
// Two socket units, because all the sockets of one unit share one FileDescriptorName=.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/gpu.h"
#include "base/result.h"
#include "base/time.h"

namespace drover::keeper {

using Variable = std::pair<std::string, std::string>;  // name and value

// One Ollama and the devices it may see.
struct SystemdInstance {
  std::string name;                   // "gpu0": the part of the unit's name after the @
  std::optional<GpuVendor> vendor;    // of its GPUs; absent: not pinned
  std::vector<std::string> gpus;      // UUIDs
  std::uint16_t port = 0;             // on 127.0.0.1
  std::vector<Variable> environment;  // on top; wins over what drover sets, except the address
};

// Whose files these are: an administrator's in /etc, or a package's in /usr. They differ in paths.
enum class SystemdHome : std::uint8_t { kAdministrator, kPackage };

struct SystemdLayout {
  SystemdHome home = SystemdHome::kAdministrator;
  std::string drover = "/usr/bin/drover";
  std::string ollama = "/usr/local/bin/ollama";  // where Ollama's own installer puts it
  std::string config;                            // --config of the services; empty: as found

  // Who the instances run as. The store belongs to them, or models could not be pulled.
  std::string user = "ollama";
  std::string group = "ollama";
  std::string user_home = "/usr/share/ollama";  // Ollama keeps its key in .ollama there
  std::string model_store;                      // empty: .ollama/models in user_home
  std::string environment_file;  // a file of variables of an earlier service; empty: none
  std::vector<SystemdInstance> instances;

  std::string state_dir;  // of the gateway; empty: /var/lib/drover

  std::vector<std::string> client = {"127.0.0.1:11434"};  // as ListenStream= wants them
  std::string admin = "127.0.0.1:11436";
  Duration drain = std::chrono::minutes(10);  // stopping the gateway may take this long

  std::string store() const;
};

struct SystemdFile {
  std::string path;
  std::string text;
  unsigned mode = 0644;  // 0600 for variables: there may be a proxy's password among them
  friend bool operator==(const SystemdFile&, const SystemdFile&) = default;
};

// All files, in the order in which a reader wants to see them. Error kConfig: a value that cannot
// be written into a unit file (a relative path, a line break, a name that is none), with the
// remedy.
Result<std::vector<SystemdFile>> systemd_files(const SystemdLayout& layout);

// Below /home or another directory that the services do not see (ProtectHome=).
bool is_in_a_home(std::string_view path);

// "drover-ollama@gpu0.service".
std::string instance_unit(std::string_view name);

// The file with the variables of an instance.
std::string instance_environment_path(std::string_view name);

}  // namespace drover::keeper
