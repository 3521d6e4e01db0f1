#pragma once
// The gateway's life with its keeper. A child ends with the keeper that started it; a service lives
// on without one, knows nothing new about GPUs meanwhile, and looks for the next one.

#include <memory>
#include <optional>
#include <string>

#include "app/keeper_link.h"
#include "app/server.h"
#include "base/log.h"

namespace drover::app {

// Where a keeper that is a service of its own waits for gateways.
inline constexpr const char* kKeeperSocket = "/run/drover/keeper.sock";

// A connection to a keeper, blocking. Nothing: none is there.
std::optional<int> connect_keeper(const std::string& path);

class KeeperSession {
 public:
  // `path`: where to look for another keeper; nothing: there is none after this one.
  KeeperSession(Server& server, Log& log, Supervised supervised, std::optional<std::string> path);

  // Takes the connected socket; `rest` is what came on it behind the welcome. False: no descriptor
  // is left.
  bool start(int fd, keeper::MessageReader rest);

 private:
  void lost();
  net::Task<void> find_another();

  Server& server_;
  Log& log_;
  Supervised supervised_;
  std::optional<std::string> path_;
  std::unique_ptr<KeeperLink> link_;
  net::OwnedTask searching_;
};

}  // namespace drover::app
