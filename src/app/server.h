#pragma once
// Builds the whole gateway from a configuration, in order; destruction in reverse is the shutdown.
// Reading server.cc tells what the program is.

#include <csignal>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "app/sockets.h"
#include "base/log.h"
#include "base/result.h"
#include "config/config.h"
#include "engine/engine.h"
#include "keeper/messages.h"
#include "net/epoll_loop.h"
#include "store/folder.h"

namespace drover::app {

// What makes a server drain, and what the process must block before it has threads.
inline constexpr std::initializer_list<int> kEndingSignals = {SIGTERM, SIGINT};

// What the keeper knows about instances that it runs: the last ones of config.backends.
using Supervised = std::vector<keeper::SupervisedInstance>;

class Server {
 public:
  // Takes the sockets over. What outlives a restart is in `folder`, and known from the first
  // request on; null: nothing does. Errors (kSystem): the kernel refuses the sockets. Precondition:
  // config.backends is not empty; its last ones are `supervised`.
  static Result<std::unique_ptr<Server>> create(const config::Config& config, Sockets sockets,
                                                const Supervised& supervised,
                                                std::shared_ptr<const store::Folder> folder,
                                                Log& log);
  ~Server();

  // For the link to the keeper: both live on the home loop.
  engine::Engine& engine();
  net::EpollLoop& home();
  // Ends at once, as a second signal does. Home loop.
  void abort();
  // Drains and ends, as a first signal does. Home loop.
  void drain();
  // Called on the home loop once clients are taken. Before run().
  void on_serving(std::function<void()> serving);

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
