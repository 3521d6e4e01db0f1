#include "net/upstream_pool.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/check.h"

namespace drover::net {

UpstreamPool::UpstreamPool(Loop& loop, Resolver& resolver, PoolLimits limits)
    : loop_(loop), resolver_(resolver), limits_(limits), sweeper_(loop) {}

UpstreamPool::~UpstreamPool() = default;

std::unique_ptr<Stream> UpstreamPool::take_idle(BackendId backend) {
  const auto found = idle_.find(backend);
  if (found == idle_.end()) return nullptr;
  Connections& connections = found->second;
  while (!connections.empty()) {
    Idle newest = std::move(connections.back());
    connections.pop_back();
    if (is_usable(newest)) return std::move(newest.stream);
  }
  return nullptr;
}

Task<Result<std::unique_ptr<Stream>>> UpstreamPool::connect(HostPort address, Cancel* cancel) {
  const Instant resolve_by = loop_.now() + limits_.connect_timeout;
  Result<std::vector<Endpoint>> endpoints =
      co_await resolver_.resolve(std::move(address), resolve_by, cancel);
  if (!endpoints.ok()) co_return std::move(endpoints).error();
  DROVER_ASSERT(!endpoints->empty());
  Error last;
  for (const Endpoint& endpoint : *endpoints) {
    const Instant deadline = loop_.now() + limits_.connect_timeout;
    Result<std::unique_ptr<Stream>> connected = co_await loop_.connect(endpoint, deadline, cancel);
    if (connected.ok()) co_return connected;
    Error error = std::move(connected).error();
    // A shortage of our own says nothing about any address.
    if (error.kind == ErrorKind::kCancelled || error.origin == Origin::kSelf) co_return error;
    // Of several addresses, the one that says "nobody listens" tells most.
    if (last.kind != ErrorKind::kRefused) last = std::move(error);
  }
  co_return std::move(last);
}

void UpstreamPool::give_back(BackendId backend, std::unique_ptr<Stream> stream) {
  if (stream->has_input()) return;
  Connections& connections = idle_[backend];
  while (!connections.empty() && !is_usable(connections.front())) connections.pop_front();
  if (connections.size() >= limits_.idle_per_backend) return;
  connections.push_back({std::move(stream), loop_.now()});
  if (!sweeper_.running()) sweeper_.start(sweep());
}

void UpstreamPool::forget(BackendId backend) {
  idle_.erase(backend);
  if (next_expiry() == kNever) sweeper_.stop();
}

std::size_t UpstreamPool::idle(BackendId backend) const {
  const auto found = idle_.find(backend);
  return found == idle_.end() ? 0 : found->second.size();
}

bool UpstreamPool::is_usable(const Idle& idle) const {
  return !idle.stream->has_input() && loop_.now() - idle.since < limits_.idle_time;
}

void UpstreamPool::drop_unusable(Connections& connections) {
  std::erase_if(connections, [this](const Idle& idle) { return !is_usable(idle); });
}

Instant UpstreamPool::next_expiry() const {
  Instant next = kNever;
  for (const auto& [backend, connections] : idle_) {
    if (!connections.empty()) next = std::min(next, connections.front().since + limits_.idle_time);
  }
  return next;
}

Task<void> UpstreamPool::sweep() {
  for (Instant next = next_expiry(); next != kNever; next = next_expiry()) {
    co_await loop_.sleep_until(next);
    for (auto& [backend, connections] : idle_) drop_unusable(connections);
  }
}

}  // namespace drover::net
