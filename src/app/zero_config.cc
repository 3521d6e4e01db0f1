#include "app/zero_config.h"

#include <fmt/format.h>

#include <chrono>
#include <vector>

#include "app/http_get.h"
#include "config/address.h"

namespace drover::app {
namespace {

constexpr std::uint16_t kOllamaPort = 11434;
constexpr std::uint16_t kBesidePort = 11435;
constexpr std::uint16_t kThirdPort = 11433;  // below both, for two Ollamas side by side
constexpr std::uint16_t kFirstSupervised = 11440;
constexpr std::uint16_t kLastSupervised = 11455;
constexpr Duration kPatience = std::chrono::milliseconds(500);

enum class Who : std::uint8_t { kNobody, kOllama, kDrover };

// Both answer /api/version; drover adds its own name.
Who who_is_at(std::uint16_t port) {
  const Result<Answer> answer = http_get({"127.0.0.1", port}, "/api/version", kPatience);
  if (!answer) return Who::kNobody;
  if (answer->body.find("\"drover\"") != std::string::npos) return Who::kDrover;
  const bool version = answer->body.find("\"version\"") != std::string::npos;
  return version ? Who::kOllama : Who::kNobody;
}

std::vector<std::uint16_t> usual_ports() {
  std::vector<std::uint16_t> ports = {kOllamaPort, kBesidePort};
  for (std::uint16_t port = kFirstSupervised; port <= kLastSupervised; ++port) {
    ports.push_back(port);
  }
  return ports;
}

void add_instance(config::Config& config, std::uint16_t port) {
  Result<config::Backend> backend =
      config::parse_backend_url(fmt::format("http://127.0.0.1:{}", port));
  if (!backend) return;
  backend->name = backend->address.to_string();
  config.backends.push_back(std::move(*backend));
}

}  // namespace

Error nothing_to_serve() {
  return {ErrorKind::kConfig, Origin::kSelf, Retry::kNever,
          "no Ollama answers on 127.0.0.1:11434, 11435 or 11440 to 11455; start one, or name it: "
          "drover serve --backend http://HOST:PORT"};
}

Result<std::string> find_instances(config::Config& config) {
  if (!config.backends.empty()) return std::string();
  bool default_taken = false;
  bool beside_taken = false;
  for (const std::uint16_t port : usual_ports()) {
    const Who who = who_is_at(port);
    if (who == Who::kDrover) {
      return Error{ErrorKind::kConfig, Origin::kSelf, Retry::kNever,
                   fmt::format("drover runs already on 127.0.0.1:{}; see 'drover status'", port)};
    }
    if (who != Who::kOllama) continue;
    add_instance(config, port);
    default_taken = default_taken || port == kOllamaPort;
    beside_taken = beside_taken || port == kBesidePort;
  }
  if (config.backends.empty()) return std::string();
  std::string said = fmt::format("no instance was configured; found {}:", config.backends.size());
  for (const config::Backend& backend : config.backends) said += " " + backend.url;
  // An address that somebody asked for is theirs to give up: listening on it will fail and say so.
  if (default_taken && config.listen_is_default) {
    config.listen.front().port = beside_taken ? kThirdPort : kBesidePort;
    said += fmt::format(
        "\nAn Ollama holds 127.0.0.1:{0}, so drover listens on 127.0.0.1:{1}. Point clients there "
        "(OLLAMA_HOST=127.0.0.1:{1}); to give drover the usual port, start that Ollama with "
        "OLLAMA_HOST=127.0.0.1:{2} and drover again.",
        kOllamaPort, config.listen.front().port, kFirstSupervised);
  }
  return said + "\n";
}

}  // namespace drover::app
