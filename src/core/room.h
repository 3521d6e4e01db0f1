#pragma once
// Room: models larger than one GPU. Which instance is large enough for a model, who has to make
// room first, and the requests that wait meanwhile.
//
// Picture a hall with movable walls: every club has its own room (the pinned instances), and now
// and then a ball needs all of them (the spanning instance). While the ball is waited for, nobody
// new is let into the rooms; who dances there finishes; then the walls go up. Afterwards the clubs
// wait in the same way for the ball to end. Who comes first is served first, in both directions.
//
// A claim is that ball: one instance for which the others that share its devices make room. There
// is at most one; it belongs to the request that waits longest, and ends with its grant, its
// refusal or its leaving. While it holds, instances in its way are given nothing new. A wait is
// bounded by Settings::room_wait, so nobody waits for ever, and nobody is kept out for longer.

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/device_memory.h"
#include "core/events.h"
#include "core/instance.h"
#include "core/retry_budget.h"

namespace drover::core {

class Room {
 public:
  explicit Room(std::span<const BackendSpec> specs) : memory_(specs) {}

  DeviceMemory& memory() { return memory_; }
  const DeviceMemory& memory() const { return memory_; }

  // kNot, kTooLarge, kReserved or kCrowded: the picker's questions about memory.
  Filtered verdict(std::span<const Instance> instances, const Instance& instance,
                   const ModelName& model) const;
  std::uint64_t need(const Instance& instance, const ModelName& model) const;

  struct Waiting {
    RequestArrived request;
    Attempt attempt = Attempt::kFirst;
    Instant until{};
    Instant slot_until = kNever;  // where it waited for a slot before: how long it may again
  };
  void wait(Waiting waiting) { waiting_.push_back(std::move(waiting)); }
  std::optional<Waiting> remove(RequestId request);
  std::size_t size() const { return waiting_.size(); }
  Instant next_deadline() const;
  // All of them, oldest first, and no claim any more: the caller decides about each anew.
  std::list<Waiting> take_all();

  // Of the crowded candidates, the one with the least under way in its surroundings gets the claim.
  void claim(std::span<const Candidate> candidates);
  bool claimed() const { return claim_.has_value(); }
  // What may be unloaded now for the claim; each is named again only after a while.
  std::vector<std::pair<BackendId, ModelName>> to_unload(std::span<const Instance> instances,
                                                         Instant now);

 private:
  bool fits_one_gpu(std::span<const Instance> instances, const ModelName& model) const;

  DeviceMemory memory_;
  std::list<Waiting> waiting_;  // oldest first
  std::optional<BackendId> claim_;
  std::map<std::pair<BackendId, ModelName>, Instant> asked_;  // unloads, and when to ask again
};

}  // namespace drover::core
