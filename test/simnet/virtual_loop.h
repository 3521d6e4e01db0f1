#pragma once
// VirtualLoop: a whole network in one thread, with a clock that jumps. When nothing is ready the
// clock moves to the next timer or delivery, so an hour of timeouts takes milliseconds, and the
// same seed gives the same run.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "net/loop.h"
#include "net/stream.h"
#include "simnet/network.h"

namespace drover::simnet {

class VirtualLoop final : public net::Loop {
 public:
  explicit VirtualLoop(NetworkOptions options = {});
  ~VirtualLoop() override;

  // Starts at 2026-01-01 00:00:00 UTC and moves with now().
  WallTime wall_now() const override;

  Result<std::unique_ptr<net::Listener>> listen(const net::Endpoint& at,
                                                net::ListenOptions options) override;
  net::Task<Result<std::unique_ptr<net::Stream>>> connect(net::Endpoint to, Instant deadline,
                                                          net::Cancel* cancel) override;
  Network& network() { return *network_; }

  // run() of the base also returns when nothing can ever happen again: no timer, no delivery, no
  // coroutine ready. Whoever still waits then (live_tasks()) waits for something that nobody does.

  // Everything that is due up to `until`, which is what the clock shows afterwards; ends early
  // on stop().
  void run_until(Instant until);
  void run_for(Duration d) { run_until(now() + d); }

  // Calls `what` at `at`, inside a poll: like IO it may fire waiters but runs nobody.
  void schedule(Instant at, std::function<void()> what);

 protected:
  void poll(Instant until) override;
  void wake() override { woken_.store(true, std::memory_order_release); }

 private:
  // Exact: the next timer or scheduled call.
  Instant next_happening();
  void run_due();

  std::unique_ptr<Network> network_;
  // By instant, then by order of scheduling.
  std::map<std::pair<Instant, std::uint64_t>, std::function<void()>> scheduled_;
  std::uint64_t sequence_ = 0;
  std::atomic<bool> woken_{false};
};

}  // namespace drover::simnet
