#include "peers.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>
#include <string_view>
#include <utility>

#include "answer.h"
#include "load.h"

namespace drover::bench {
namespace {

constexpr std::uint64_t kPatienceNs = 15 * kSecond;
constexpr int kPauseMs = 10;

Error failure(std::string message) {
  return {ErrorKind::kSystem, Origin::kSelf, Retry::kNever, std::move(message)};
}

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The end of a log, for a person who has to find out why a program did not start.
std::string tail(const std::string& path) {
  constexpr std::size_t kBytes = 1500;
  const std::string text = read_text(path);
  return text.size() <= kBytes ? text : text.substr(text.size() - kBytes);
}

using Words = std::vector<std::pair<std::string, std::string>>;

std::string fill_in(std::string text, const Words& words) {
  for (const auto& [word, value] : words) {
    for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at)) {
      text.replace(at, word.size(), value);
    }
  }
  return text;
}

std::string configuration_of(PeerKind kind) {
  switch (kind) {
    case PeerKind::kHaproxyBare:
      return "haproxy-bare.cfg";
    case PeerKind::kHaproxyEqual:
      return "haproxy-equal.cfg";
    case PeerKind::kNginx:
      return "nginx.conf";
    case PeerKind::kDrover:
      return "drover.yaml";
    case PeerKind::kDirect:
      break;
  }
  return {};
}

std::vector<std::string> command_of(const Peer& peer, const std::string& file,
                                    const std::string& directory) {
  switch (peer.kind) {
    case PeerKind::kHaproxyBare:
    case PeerKind::kHaproxyEqual:
      return {peer.program, "-db", "-f", file};
    case PeerKind::kNginx:
      return {peer.program, "-e", "stderr", "-p", directory, "-c", file};
    case PeerKind::kDrover:
      return {peer.program, "serve", "--config", file};
    case PeerKind::kDirect:
      break;
  }
  return {};
}

// The body, its head, and what HAProxy keeps free to rewrite heads.
std::size_t buffer_bytes(std::size_t body_bytes) {
  constexpr std::size_t kLeast = 16384;  // its default
  constexpr std::size_t kBeside = 8192;
  return std::max(kLeast, body_bytes + kBeside);
}

// One whole answer through this port?
bool serves(std::uint16_t port) {
  LoadPlan plan;
  plan.port = port;
  plan.how = LoopLoad{.connections = 1, .measured_ns = kSecond / 50};
  const LoadReport report = run_load(plan);
  return report.wrong == 0 && report.answers > 0;
}

}  // namespace

std::vector<Peer> standard_peers(const std::string& drover) {
  return {{"direct", PeerKind::kDirect, ""},
          {"haproxy", PeerKind::kHaproxyBare, "/usr/sbin/haproxy"},
          {"haproxy-equal", PeerKind::kHaproxyEqual, "/usr/sbin/haproxy"},
          {"nginx", PeerKind::kNginx, "/usr/sbin/nginx"},
          {"drover", PeerKind::kDrover, drover}};
}

std::string version_of(const Peer& peer) {
  if (peer.kind == PeerKind::kDirect) return {};
  const char* flag = peer.kind == PeerKind::kDrover ? " version" : " -v";
  const std::string text = output_of("'" + peer.program + "'" + flag);
  return text.substr(0, text.find('\n'));
}

Result<Started> start(const Peer& peer, const Placing& placing) {
  if (peer.kind == PeerKind::kDirect) return Started{placing.backend_port, Child()};
  Started started;
  started.port = free_port();
  const std::string name = configuration_of(peer.kind);
  const std::string source = placing.configurations + "/" + name;
  const std::string file = placing.directory + "/" + name;
  const std::string log = placing.directory + "/" + peer.name + ".log";
  const std::string text = read_text(source);
  if (text.empty()) return failure(source + " cannot be read; --configurations names its folder");
  std::ofstream(file) << fill_in(
      text, {{"@PORT@", std::to_string(started.port)},
             {"@BACKEND_PORT@", std::to_string(placing.backend_port)},
             {"@ADMIN_PORT@", std::to_string(free_port())},
             {"@LOOPS@", std::to_string(peer.loops)},
             {"@DIRECTORY@", placing.directory},
             {"@BUFFER_BYTES@", std::to_string(buffer_bytes(placing.body_bytes))}});
  started.process = run_program(placing.cores, command_of(peer, file, placing.directory), log);
  for (const std::uint64_t deadline = now_ns() + kPatienceNs; now_ns() < deadline;) {
    if (serves(started.port)) return started;
    if (!started.process.running()) break;
    ::poll(nullptr, 0, kPauseMs);
  }
  return failure(
      fmt::format("{} ({}) does not serve; it says:\n{}", peer.name, peer.program, tail(log)));
}

}  // namespace drover::bench
