#include "simnet/virtual_loop.h"

#include <algorithm>
#include <chrono>

namespace drover::simnet {
namespace {

// Far from the timeline's zero, so that "an hour ago" is a valid instant.
constexpr Instant kStart{std::chrono::hours(24)};
constexpr std::int64_t kStartUnixNanos = 1'767'225'600'000'000'000;  // 2026-01-01 UTC

}  // namespace

VirtualLoop::VirtualLoop(NetworkOptions options)
    : network_(std::make_unique<Network>(*this, options)) {
  set_now(kStart);
}

VirtualLoop::~VirtualLoop() { abandon(); }

WallTime VirtualLoop::wall_now() const { return {kStartUnixNanos + (now() - kStart).count()}; }

Result<std::unique_ptr<net::Listener>> VirtualLoop::listen(const net::Endpoint& at,
                                                           net::ListenOptions options) {
  return network_->listen(at, options);
}

net::Task<Result<std::unique_ptr<net::Stream>>> VirtualLoop::connect(net::Endpoint to,
                                                                     Instant deadline,
                                                                     net::Cancel* cancel) {
  return network_->connect(to, deadline, cancel);
}

void VirtualLoop::run_until(Instant until) {
  while (!take_stop()) {
    const bool busy = has_ready() || woken_.load(std::memory_order_acquire);
    if (!busy && now() >= until && next_happening() > until) return;
    turn(until);
  }
}

void VirtualLoop::schedule(Instant at, std::function<void()> what) {
  scheduled_.emplace(std::pair{at, sequence_++}, std::move(what));
}

void VirtualLoop::poll(Instant until) {
  if (!woken_.exchange(false, std::memory_order_acquire) && until > now()) {
    const Instant target = std::min(until, next_happening());
    if (target == kNever) return set_quiescent();
    set_now(std::max(now(), target));
  }
  run_due();
}

Instant VirtualLoop::next_happening() {
  settle_timers();
  return scheduled_.empty() ? next_timer()
                            : std::min(next_timer(), scheduled_.begin()->first.first);
}

void VirtualLoop::run_due() {
  while (!scheduled_.empty() && scheduled_.begin()->first.first <= now()) {
    const std::function<void()> what = std::move(scheduled_.begin()->second);
    scheduled_.erase(scheduled_.begin());
    what();
  }
}

}  // namespace drover::simnet
