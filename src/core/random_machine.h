#pragma once
// For tests of core: a machine as chance made it, and decisions as numbers, to be compared.

#include <algorithm>
#include <bit>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "core/testing.h"

namespace drover::core::testing {

// --- decisions as numbers ---

// Of everything that the effects of one event say.
class Digest {
 public:
  static std::uint64_t of(const Effects& effects) {
    Digest digest;
    for (const Effect& effect : effects) {
      digest.add(effect.index());
      std::visit([&](const auto& each) { digest.add(each); }, effect);
    }
    return digest.value_;
  }

 private:
  void add(std::uint64_t value) { value_ = (value_ ^ value) * 0x100000001b3ULL; }
  void add(std::string_view text) {
    for (const char c : text) add(static_cast<std::uint64_t>(c));
  }
  void add(const Explanation& why) {
    for (const Candidate& each : why.candidates) {
      add(static_cast<std::uint64_t>(each.filtered));
      add(std::bit_cast<std::uint32_t>(each.cost_s));
    }
    add(why.waited_as);
  }
  void add(const Grant& grant) {
    add(grant.request.value);
    add(grant.lease.value);
    add(grant.backend.value);
    add(grant.why);
  }
  void add(const Refuse& refuse) {
    add(refuse.request.value);
    add(refuse.error.message);
    add(static_cast<std::uint64_t>(refuse.retry_after.value_or(0s).count()));
    add(refuse.why);
  }
  void add(const RevokeLease& revoke) { add(revoke.lease.value); }
  void add(const RefreshCatalogues&) {}
  void add(const HealthChanged& changed) { add(changed.reason); }
  void add(const RestartInstance& restart) { add(restart.reason); }
  void add(const Canary& canary) { add(canary.model.text()); }
  void add(const Load& load) {
    add(load.backend.value);
    add(load.model.text());
  }
  void add(const Unload& unload) {
    add(unload.backend.value);
    add(unload.model.text());
  }
  void add(const Incident& incident) { add(incident.detail); }
  void add(const WakeAt& wake) {
    add(static_cast<std::uint64_t>(wake.when.time_since_epoch().count()));
  }

  std::uint64_t value_ = 0xcbf29ce484222325ULL;
};

// Calm: everybody is honest and nothing breaks.
enum class Manner : std::uint8_t { kCalm, kWild };

struct Machine {
  std::vector<BackendSpec> specs;
  std::vector<std::uint64_t> memory;  // bytes, by instance; 0: nobody knows
  Catalogue models;
  std::vector<std::shared_ptr<const Catalogue>> stores;  // by instance
  std::uint32_t tenants = 1;
  Settings settings;
  double gap_s = 1;  // between requests, in the mean
};

constexpr double kUsablePart = 0.95;  // of a GPU's memory, for models

inline Catalogue random_models(Rng& rng, Manner manner) {
  Catalogue models;
  const std::size_t count = 2 + rng.below(6);
  for (std::size_t i = 0; i < count; ++i) {
    InstalledModel model;
    model.shown_name = std::string(1, static_cast<char>('a' + i));
    model.name = ModelName::canonical(model.shown_name);
    model.digest = "sha256:" + model.shown_name;
    const bool huge = manner == Manner::kWild && rng.below(8) == 0;
    model.bytes = huge ? 30'000'000'000 : 1'000'000'000 + rng.below(15'000'000'000);
    models.push_back(std::move(model));
  }
  return models;
}

inline Machine random_machine(std::uint64_t seed, Manner manner) {
  Rng rng(seed);
  Machine machine;
  machine.models = random_models(rng, manner);
  const auto count = static_cast<std::uint32_t>(1 + rng.below(4));
  machine.specs = specs(count, manner == Manner::kCalm ? 512 : 6);
  std::vector<std::string> all_gpus;
  for (BackendSpec& spec : machine.specs) {
    spec.slots = static_cast<std::uint32_t>(1 + rng.below(4));
    const bool foreign = manner == Manner::kWild && rng.below(4) == 0;
    machine.memory.push_back(foreign ? 0 : 24'000'000'000);
    if (foreign) continue;
    spec.placement = Placement::kPinned;
    spec.gpus = {"GPU-" + std::to_string(spec.id.value)};
    all_gpus.push_back(spec.gpus.front());
  }
  if (manner == Manner::kWild && all_gpus.size() > 1 && rng.below(2) == 0) {
    BackendSpec span = specs(count + 1, 6).back();
    span.placement = Placement::kSpanning;
    span.gpus = all_gpus;
    machine.memory.push_back(24'000'000'000 * all_gpus.size());
    machine.specs.push_back(std::move(span));
  }
  for (std::size_t i = 0; i < machine.specs.size(); ++i) {
    auto store = std::make_shared<Catalogue>();
    for (const InstalledModel& model : machine.models) {
      if (i == 0 || rng.below(5) > 0) store->push_back(model);
    }
    machine.stores.push_back(std::move(store));
  }
  machine.tenants = static_cast<std::uint32_t>(1 + rng.below(4));
  double slots = 0;
  for (const BackendSpec& spec : machine.specs) slots += spec.slots;
  machine.gap_s = manner == Manner::kCalm ? (24 + 20 * rng.unit()) / slots : 0.2 + rng.unit();
  machine.settings.policy = PolicyName::kExpectedCompletion;
  machine.settings.seed = seed;
  machine.settings.queue_wait = manner == Manner::kCalm ? Duration(10min) : Duration(30s);
  machine.settings.room_wait = 20s;
  if (manner == Manner::kWild) {
    machine.settings.max_queued = static_cast<std::uint32_t>(4 + rng.below(30));
    machine.settings.max_queued_bytes = 60'000;
    machine.settings.max_waiting = 6;
  }
  return machine;
}

}  // namespace drover::core::testing
