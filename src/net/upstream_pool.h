#pragma once
// Keep-alive connections to instances, one pool per loop. An idle connection that shows input or a
// hang-up is dropped: bytes that nobody asked for must never become somebody's answer.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>

#include "base/ids.h"
#include "base/result.h"
#include "net/resolver.h"
#include "net/stream.h"

namespace drover::net {

struct PoolLimits {
  std::size_t idle_per_backend = 256;             // more are closed when given back
  Duration idle_time = std::chrono::seconds(60);  // Ollama itself never closes an idle connection
  Duration connect_timeout = std::chrono::seconds(1);
};

class UpstreamPool {
 public:
  // Both outlive the pool, and the pool outlives every connect().
  UpstreamPool(Loop& loop, Resolver& resolver, PoolLimits limits);
  ~UpstreamPool();

  // An idle connection, the one used last: it is the most likely to be alive, and the rest can grow
  // old. Null: none is idle, so connect. It has served before; a stale one may be retried unseen on
  // the same instance.
  std::unique_ptr<Stream> take_idle(BackendId backend);
  // A new connection. Errors as Resolver::resolve and Loop::connect; every address of the name is
  // tried in turn, each for connect_timeout, and the last one's error is reported.
  Task<Result<std::unique_ptr<Stream>>> connect(HostPort address, Cancel* cancel);
  // Only a connection whose answer was read to its end, with keep-alive and nothing left over.
  // Its hang-up must no longer be watched by anybody.
  void give_back(BackendId backend, std::unique_ptr<Stream> stream);
  // Closes what is idle for `backend`: it went down, or left the configuration.
  void forget(BackendId backend);
  std::size_t idle(BackendId backend) const;

 private:
  struct Idle {
    std::unique_ptr<Stream> stream;
    Instant since;
  };
  using Connections = std::deque<Idle>;  // oldest first

  bool is_usable(const Idle& idle) const;
  void drop_unusable(Connections& connections);
  Instant next_expiry() const;
  Task<void> sweep();

  Loop& loop_;
  Resolver& resolver_;
  PoolLimits limits_;
  std::unordered_map<BackendId, Connections> idle_;
  OwnedTask sweeper_;  // runs only while something is idle
};

}  // namespace drover::net
