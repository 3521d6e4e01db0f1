#pragma once
// Builds the whole gateway from a configuration, in order; destruction in reverse is the shutdown.
// Reading server.cc tells what the program is.

#include <csignal>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "config/config.h"

namespace drover::app {

// What makes a server drain, and what the process must block before it has threads.
inline constexpr std::initializer_list<int> kEndingSignals = {SIGTERM, SIGINT};

class Server {
 public:
  // Binds every address first: on failure (kSystem, one sentence with the remedy) nothing runs.
  // Precondition: config.backends is not empty.
  static Result<std::unique_ptr<Server>> create(const config::Config& config, Log& log);
  ~Server();

  // The addresses in use, ports filled in.
  std::vector<std::string> listen_addresses() const;
  std::string admin_address() const;

  // Serves until SIGTERM or SIGINT, then drains; a second signal ends at once. Prints the greeting
  // to stdout.
  enum class Ended : std::uint8_t { kDrained, kForced };
  Ended run();

 private:
  struct State;
  explicit Server(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace drover::app
