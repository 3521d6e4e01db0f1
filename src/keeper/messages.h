#pragma once
// What keeper and gateway say to each other: typed messages over one stream socket, each with its
// length in front. The two are always the same build, so there is no version to agree on; a reader
// still takes nothing on trust, because the gateway is the process that strangers talk to.
//
//   keeper                      gateway
//     Welcome, once  ───────────▶  what to serve: configuration, instances
//     Gpus, Process ──────────▶  what is seen of devices and instances
//     ◀───────────  Ready        serves
//     ◀───────────  Served       an instance answered a client's request
//     ◀───────────  Restart      an instance shall be started anew, and why

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/gpu.h"
#include "base/process.h"
#include "base/result.h"
#include "config/overlay.h"

namespace drover::keeper {

// One supervised instance, as the gateway has to know it. Its number is its place in the list.
struct SupervisedInstance {
  std::string name;
  std::string url;
  std::vector<std::string> gpus;  // UUIDs; empty: the CPU
  bool spanning = false;
  std::uint32_t parallel = 1;  // slots of a loaded model
  friend bool operator==(const SupervisedInstance&, const SupervisedInstance&) = default;
};

struct Welcome {
  // The configuration as it was at the start, so that a gateway started anew after a crash is the
  // same one although the file was edited meanwhile.
  std::optional<config::FileText> file;
  std::vector<config::Setting> settings;
  std::vector<config::HostPort> foreign;  // instances found on this machine, none configured
  std::vector<SupervisedInstance> supervised;
  std::string greeting;  // what was found, for people; printed once
};
struct Gpus {
  GpuReport report;
};
struct Process {
  std::uint32_t instance = 0;  // number in Welcome::supervised
  InstanceProcess process;
};

struct Ready {};
struct Served {
  std::uint32_t instance = 0;
};
// kOperator: asked for, no fault. kFault: it hangs or fell back to the CPU; counts as a failure.
enum class RestartKind : std::uint8_t { kOperator, kFault };
struct Restart {
  std::uint32_t instance = 0;
  RestartKind kind = RestartKind::kOperator;
  std::string reason;
};

using Message = std::variant<Welcome, Gpus, Process, Ready, Served, Restart>;

// A configuration file has its own bound; everything else is far smaller.
inline constexpr std::size_t kLargestMessage = std::size_t{16} << 20;

// With its length in front, ready to be sent.
std::string encode(const Message& message);

// Takes bytes as they come and gives whole messages. Errors (kMalformed) are final.
class MessageReader {
 public:
  void feed(std::string_view bytes) { buffer_.append(bytes); }
  // Nothing: more bytes are needed.
  Result<std::optional<Message>> next();

 private:
  std::string buffer_;
};

}  // namespace drover::keeper
