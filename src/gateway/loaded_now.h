#pragma once
// What is loaded at this moment. A snapshot knows what the last check saw, up to two seconds ago;
// whoever has just run or stopped a model looks at once. So every instance is asked, all of them at
// the same time, and one that does not answer soon is shown as it was last seen.
//
// Picture a lift: who comes while it is on its way waits for the next ride, so however many want
// to know it, each instance has one question of a loop at a time.

#include <cstdint>
#include <memory>
#include <vector>

#include "core/fleet.h"
#include "engine/engine.h"
#include "gateway/settings.h"
#include "net/upstream_pool.h"

namespace drover::gateway {

class LoadedNow {
 public:
  // Of one loop. Everything outlives it; it outlives the loop's coroutines.
  LoadedNow(net::Loop& loop, engine::Engine& engine, net::UpstreamPool& pool,
            const Settings& settings);

  // The newest snapshot, with what the instances say that answered within Deadlines::loaded_now. It
  // takes at most twice as long. Cancelled: the snapshot as it is.
  net::Task<std::shared_ptr<const core::FleetView>> look(net::Cancel& cancel);

 private:
  struct Round;
  void begin();
  net::Task<void> ride(std::shared_ptr<Round> round);
  net::Task<void> ask(std::shared_ptr<Round> round, std::size_t instance);

  net::Loop& loop_;
  engine::Engine& engine_;
  net::UpstreamPool& pool_;
  const Settings& settings_;
  std::shared_ptr<Round> next_;  // has not begun
  bool under_way_ = false;
};

}  // namespace drover::gateway
