#include "core/picker.h"

#include <algorithm>

#include "base/check.h"

namespace drover::core {
namespace {

// --- filters ---

// What keeps a request away; `memory` is what Room says. The first reason is the one shown, so the
// lasting ones stand before the passing ones.
Filtered filter(const Instance& instance, const RequestArrived& request, Filtered memory) {
  const HealthState health = instance.health.state();
  if (health == HealthState::kUnknown || !instance.catalogue) return Filtered::kUnknown;
  if (!instance.lists(request.ask.model)) return Filtered::kNoModel;
  const BackendId id = instance.spec.id;
  if (request.ask.only && *request.ask.only != id) return Filtered::kNotTheOne;
  if (memory == Filtered::kTooLarge || memory == Filtered::kReserved) return memory;
  const bool tried = std::ranges::find(request.tried, id) != request.tried.end();
  if (tried) return Filtered::kTried;
  if (instance.taken_out()) return Filtered::kDraining;
  if (health == HealthState::kDown) return Filtered::kDown;
  const bool has_its_one = health == HealthState::kProbation && instance.in_flight_of_term > 0;
  if (has_its_one) return Filtered::kProbation;
  if (instance.in_flight >= instance.spec.max_in_flight) return Filtered::kFull;
  return memory;
}

// --- policies ---

using Cost = std::array<std::uint64_t, 4>;

struct Bid {
  const Instance& instance;
  bool model_loaded;
  std::uint64_t last_of_model;
};

Cost round_robin(const Bid& bid) { return {bid.last_of_model, bid.instance.last_granted}; }

Cost least_loaded(const Bid& bid) {
  return {bid.instance.in_flight, bid.instance.health.failures(), bid.model_loaded ? 0U : 1U,
          bid.instance.last_granted};
}

struct Policy {
  PolicyName name;
  Cost (*cost)(const Bid&);
};

constexpr Policy kPolicies[] = {
    {PolicyName::kRoundRobin, round_robin},
    {PolicyName::kLeastLoaded, least_loaded},
    // Where predictions do not help: last resorts, and models that no catalogue lists.
    {PolicyName::kExpectedCompletion, least_loaded},
};

Cost (*cost_of(PolicyName name))(const Bid&) {
  const auto* found = std::ranges::find(kPolicies, name, &Policy::name);
  DROVER_ASSERT(found != std::end(kPolicies));
  return found->cost;
}

// --- last resort ---

// Put out by failed requests, or in probation with its request under way: it still answers.
bool could_be_last_resort(const Instance& instance, Filtered reason) {
  if (reason == Filtered::kProbation) return true;
  return reason == Filtered::kDown && instance.health.cause() == DownCause::kRequests;
}

// Filtered for other than its health, or not to be reached at all: no argument against opening.
bool stands_aside(const Instance& instance, Filtered reason) {
  switch (reason) {
    case Filtered::kUnknown:
    case Filtered::kNoModel:
    case Filtered::kDraining:
    case Filtered::kTooLarge:
    case Filtered::kReserved:
    case Filtered::kNotTheOne:
      return true;
    case Filtered::kDown:
      return instance.health.cause() != DownCause::kRequests;
    default:
      return false;
  }
}

// Which candidates may be considered although they were filtered; empty when some healthy holder
// exists, even a full one: waiting for that is better.
std::vector<bool> last_resorts(std::span<const Instance> instances,
                               const std::vector<Candidate>& candidates, Instant now) {
  std::vector<bool> open(instances.size(), false);
  for (std::size_t i = 0; i < instances.size(); ++i) {
    const Filtered reason = candidates[i].filtered;
    if (stands_aside(instances[i], reason)) continue;
    if (!could_be_last_resort(instances[i], reason)) return {};
    open[i] = instances[i].next_last_resort <= now &&
              instances[i].in_flight < instances[i].spec.max_in_flight;
  }
  return open;
}

}  // namespace

bool Pick::crowded() const {
  return !backend && std::ranges::any_of(why.candidates, [](const Candidate& candidate) {
    return candidate.filtered == Filtered::kCrowded;
  });
}

Pick Picker::pick(std::span<const Instance> instances, const RequestArrived& request,
                  const Room& room, Instant now, Prices prices) const {
  Pick pick;
  pick.why.policy = to_string(policy_);
  pick.why.priority = request.ask.priority;
  pick.why.candidates.reserve(instances.size());
  bool any_eligible = false;
  for (const Instance& instance : instances) {
    const Filtered memory = room.verdict(instances, instance, request.ask.model);
    const Filtered reason = filter(instance, request, memory);
    pick.why.candidates.push_back(
        {instance.spec.id, reason, is_ready(instance, request.ask), instance.in_flight});
    any_eligible |= reason == Filtered::kNot;
  }
  if (any_eligible && prices.forecasts != nullptr) {
    cheapest(instances, request, prices, now, pick);
    return pick;
  }
  std::vector<bool> open;
  if (!any_eligible && request.attempt == 0) {
    open = last_resorts(instances, pick.why.candidates, now);
  }

  const auto cost = cost_of(policy_);
  const std::span<const std::uint64_t> turns = rotation_.of(request.ask.model);
  Cost lowest{};
  for (std::size_t i = 0; i < instances.size(); ++i) {
    const Candidate& candidate = pick.why.candidates[i];
    const bool resort = candidate.filtered != Filtered::kNot;
    if (resort && (open.empty() || !open[i])) continue;
    // A last resort may be ill; it may not be given memory that others use.
    if (resort && room.verdict(instances, instances[i], request.ask.model) != Filtered::kNot) {
      continue;
    }
    const Cost price = cost({instances[i], candidate.model_loaded, turns[i]});
    if (pick.backend && price >= lowest) continue;
    lowest = price;
    pick.backend = candidate.backend;
    pick.model_loaded = candidate.model_loaded;
  }
  pick.why.chosen = pick.backend;
  pick.why.last_resort = pick.backend && !any_eligible;
  return pick;
}

// It has the model loaded, and so that the request causes no other load.
bool Picker::is_ready(const Instance& instance, const Ask& ask) const {
  const LoadedModel* loaded = instance.loaded_entry(ask.model);
  if (loaded == nullptr || variants_ == nullptr) return loaded != nullptr;
  return variants_->fits({instance.spec.id, loaded->name, false, loaded->context_length}, ask);
}

void Picker::cheapest(std::span<const Instance> instances, const RequestArrived& request,
                      Prices prices, Instant now, Pick& pick) const {
  constexpr double kTie = 1.01;
  double lowest = 0;
  const Prefixes::Found found = prices.forecasts->found(prices.model, request.ask.beginnings);
  for (Candidate& candidate : pick.why.candidates) {
    if (candidate.filtered != Filtered::kNot) continue;
    const Instance& instance = instances[candidate.backend.value];
    const Forecasts::Price price = prices.forecasts->price(
        instance, prices.model,
        {request.ask.body_bytes, prices.leaves_last_slot ? 1U : 0U, prices.queue, now, &found});
    candidate.cost_s = static_cast<float>(price.cost_s);
    if (!price.now) continue;
    const double cost = price.cost_s + 1e-3;  // where everything takes no time, all are equal
    if (pick.backend) {
      const Instance& other = instances[pick.backend->value];
      const bool later = std::pair(instance.in_flight, instance.last_granted) >=
                         std::pair(other.in_flight, other.last_granted);
      if (cost > lowest * kTie || (cost * kTie >= lowest && later)) continue;
    }
    lowest = cost;
    pick.first_s = price.first_s;
    pick.cached_bytes = price.cached_bytes;
    pick.backend = candidate.backend;
    pick.model_loaded = candidate.model_loaded;
  }
  pick.model = prices.model;
  pick.why.chosen = pick.backend;
  pick.waits = !pick.backend;
}

void Picker::granted(Instance& instance, const ModelName& model, const Pick& pick, Instant now,
                     Duration last_resort_interval) {
  instance.last_granted = ++grants_;
  if (pick.why.last_resort) instance.next_last_resort = now + last_resort_interval;
  if (policy_ == PolicyName::kRoundRobin) rotation_.granted(model, instance.spec.id, grants_);
}

std::span<const std::uint64_t> Rotation::of(const ModelName& model) const {
  const auto found = by_name_.find(model);
  return found == by_name_.end() ? never_ : found->second->last;
}

void Rotation::granted(const ModelName& model, BackendId backend, std::uint64_t number) {
  auto found = by_name_.find(model);
  if (found == by_name_.end()) {
    if (models_.size() == kMaxModels) {
      by_name_.erase(models_.back().model);
      models_.pop_back();
    }
    models_.push_front({model, never_});
    found = by_name_.emplace(model, models_.begin()).first;
  } else {
    models_.splice(models_.begin(), models_, found->second);
  }
  found->second->last[backend.value] = number;
}

}  // namespace drover::core
