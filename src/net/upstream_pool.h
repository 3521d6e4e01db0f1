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

// A connection and whether it served before: a stale one may be retried unseen on the same
// instance.
struct UpstreamStream {
  std::unique_ptr<Stream> stream;
  bool reused = false;
};

class UpstreamPool {
 public:
  // Both outlive the pool, and the pool outlives every acquire().
  UpstreamPool(Loop& loop, Resolver& resolver, PoolLimits limits);
  ~UpstreamPool();

  enum class Freshness : std::uint8_t { kAny, kNew };
  // The idle connection used last comes first: it is the most likely to be alive, and the rest can
  // grow old. Errors as Resolver::resolve and Loop::connect; every address of the name is tried in
  // turn, each for connect_timeout, and the last one's error is reported.
  Task<Result<UpstreamStream>> acquire(BackendId backend, HostPort address, Freshness freshness,
                                       Cancel* cancel);
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

  Task<Result<UpstreamStream>> connect(HostPort address, Cancel* cancel);
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
