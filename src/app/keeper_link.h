#pragma once
// The gateway's end of the link to the keeper: what the keeper sees becomes observations of the
// engine; what the engine wants done to a process is handed on. Lives on the home loop.

#include <functional>
#include <memory>

#include "base/log.h"
#include "core/fleet.h"
#include "engine/engine.h"
#include "keeper/link.h"

namespace drover::app {

class KeeperLink {
 public:
  struct Heard {
    std::function<void()> gone;  // once, when the keeper is
    // A keeper that was started anew introduces itself again. May be empty.
    std::function<void(const std::vector<keeper::SupervisedInstance>&)> welcome;
  };
  // The last `supervised` instances of the engine are the keeper's, in its order.
  KeeperLink(net::EpollLoop& home, engine::Engine& engine, std::unique_ptr<net::Stream> stream,
             keeper::MessageReader reader, std::size_t supervised, Heard heard);
  ~KeeperLink() { engine_.on_restart({}); }
  KeeperLink(const KeeperLink&) = delete;
  KeeperLink& operator=(const KeeperLink&) = delete;

  void start();

 private:
  void hear(keeper::Message message);
  void pass_on(const core::RestartInstance& order);
  net::Task<void> report_served();

  net::EpollLoop& home_;
  Heard heard_;
  engine::Engine& engine_;
  std::size_t supervised_;
  std::size_t first_;  // BackendId of the keeper's first instance
  std::vector<std::uint64_t> served_;
  keeper::Link link_;
  net::OwnedTask reporting_;
};

}  // namespace drover::app
