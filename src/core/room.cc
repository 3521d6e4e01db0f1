#include "core/room.h"

#include <algorithm>

namespace drover::core {
namespace {

// Ollama waits up to 5 s for memory to come back; asking sooner would only queue behind that.
constexpr Duration kAskAgain = std::chrono::seconds(5);

bool wholly_loaded(const Instance& instance, const ModelName& model) {
  const LoadedModel* loaded = instance.loaded_entry(model);
  return loaded != nullptr && loaded->vram_bytes > 0 && loaded->vram_bytes >= loaded->bytes;
}

}  // namespace

Instant Room::next_deadline() const {
  Instant next = kNever;
  for (const Waiting& each : waiting_) next = std::min(next, each.until);
  return next;
}

std::uint64_t Room::need(const Instance& instance, const ModelName& model) const {
  const InstalledModel* installed = instance.installed(model);
  return memory_.need(instance.spec.id, model, installed == nullptr ? 0 : installed->bytes);
}

// A pinned instance counts even while it is down: it comes back, and what fits one GPU waits for
// one, or the one spanning instance would be taken by everybody.
bool Room::fits_one_gpu(std::span<const Instance> instances, const ModelName& model) const {
  return std::ranges::any_of(instances, [&](const Instance& each) {
    if (each.spec.placement != Placement::kPinned || !each.lists(model)) return false;
    const std::optional<std::uint64_t> capacity = memory_.capacity(each.spec.id);
    return capacity && need(each, model) <= *capacity;
  });
}

Filtered Room::verdict(std::span<const Instance> instances, const Instance& instance,
                       const ModelName& model) const {
  const BackendId id = instance.spec.id;
  const std::optional<std::uint64_t> capacity = memory_.capacity(id);
  if (!capacity) return Filtered::kNot;
  // What is rarely needed is looked up last: this is asked for every instance and request.
  const std::uint64_t needs = need(instance, model);
  if (needs > *capacity && !wholly_loaded(instance, model)) return Filtered::kTooLarge;
  const bool spans = instance.spec.placement == Placement::kSpanning;
  if (spans && !wholly_loaded(instance, model) && fits_one_gpu(instances, model)) {
    return Filtered::kReserved;
  }
  if (claim_ && memory_.shares(id, *claim_)) return Filtered::kCrowded;
  if (memory_.has_room(id, needs)) return Filtered::kNot;
  const LoadedModel* entry = instance.loaded_entry(model);
  const bool held = memory_.holds(id, entry != nullptr ? entry->name : model);
  return held ? Filtered::kNot : Filtered::kCrowded;
}

std::optional<Room::Waiting> Room::remove(RequestId request) {
  const auto found = std::ranges::find_if(
      waiting_, [&](const Waiting& each) { return each.request.request == request; });
  if (found == waiting_.end()) return std::nullopt;
  std::optional<Waiting> removed = std::move(*found);
  waiting_.erase(found);
  return removed;
}

std::list<Room::Waiting> Room::take_all() {
  claim_.reset();
  return std::exchange(waiting_, {});
}

void Room::claim(std::span<const Candidate> candidates) {
  std::uint32_t fewest = UINT32_MAX;
  for (const Candidate& candidate : candidates) {
    if (candidate.filtered != Filtered::kCrowded) continue;
    std::uint32_t in_the_way = 0;
    for (const Candidate& other : candidates) {
      if (memory_.shares(candidate.backend, other.backend)) {
        in_the_way += memory_.users(other.backend);
      }
    }
    if (claim_ && in_the_way >= fewest) continue;
    fewest = in_the_way;
    claim_ = candidate.backend;
  }
}

std::vector<std::pair<BackendId, ModelName>> Room::to_unload(std::span<const Instance> instances,
                                                             Instant now) {
  std::vector<std::pair<BackendId, ModelName>> wanted;
  std::erase_if(asked_, [now](const auto& each) { return each.second <= now; });
  if (!claim_) return wanted;
  for (const Instance& other : instances) {
    if (!memory_.shares(*claim_, other.spec.id)) continue;
    for (ModelName& model : memory_.idle_models(other.spec.id)) {
      std::pair<BackendId, ModelName> each{other.spec.id, std::move(model)};
      if (asked_.emplace(each, now + kAskAgain).second) wanted.push_back(std::move(each));
    }
  }
  return wanted;
}

}  // namespace drover::core
