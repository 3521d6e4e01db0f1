#pragma once
// Seating: which models sit where, as drover believes and as drover wants it.
//
// /api/ps is read every few seconds and shows neither what loads nor what is about to leave, so
// belief is what it said last, and what was ordered and answered since.
//
// A seat (a model at an instance) and a plan (one at most for each instance):
//
//   absent ──load answered, or listed──▶ ready ──a plan needs its memory──▶ leaving
//      ▲                                   ▲                                 │
//      └──────── no longer listed ─────────┼── the plan is given up ◀────────┤
//                                          └─────────────────────────────────┘
//
// Who is leaving gets no new requests but those that hold nobody up (forecasts.h), finishes what
// it has, is then unloaded, and only when its memory is free again the load is ordered: so Ollama
// never has to choose a victim, and never has more than one load to do. Where nobody knows how much
// memory there is, it does at first, and from that is learned how much fits.

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "core/events.h"
#include "core/ledger.h"
#include "core/model_table.h"

namespace drover::core {

class Seating {
 public:
  enum class State : std::uint8_t { kAbsent, kReady, kLeaving };
  struct Seat {
    State state = State::kAbsent;
    Instant since{};             // of the state
    Instant ask_unload_at{};     // leaving: not before
    std::uint64_t bytes = 0;     // by the last listing; 0: never listed
    std::uint64_t context = 0;   // tokens of each slot, likewise
    std::uint32_t failures = 0;  // of loads, in a row
    std::uint32_t epoch = 0;     // times that it was unloaded, and its caches with it
    Instant not_before{};        // the next load
  };
  struct Plan {
    ModelIndex model = 0;
    LoadReason reason = LoadReason::kDemand;
    std::vector<ModelIndex> leaving;  // who makes room
    Instant begun{};
    bool ordered = false;
    Instant ordered_at{};
    double load_s = 0;  // predicted
    double bytes = 0;   // of memory that it will take
  };
  struct Site {
    bool known = false;               // listed since it was reset
    std::vector<ModelIndex> present;  // ready and leaving
    std::optional<Plan> plan;
    Instant memory_back{};   // what was unloaded holds memory until then
    Instant loaded_until{};  // the end of the last load
    // A load that was ordered and is not answered: it outlives its plan, when the instance was out
    // of sight for a while. Given up then.
    Instant load_out_until{};
    // Bytes, learned from listings: the most that was there at once; the least that was too much,
    // because somebody left for a load of its own accord. 0: has not been seen.
    double held = 0;
    double too_much = 0;
    Instant too_much_at{};
    bool raised = false;  // too_much, since the last load
  };

  explicit Seating(std::size_t instances) : sites_(instances) {}

  void sized(ModelIndex model);  // is in use: makes place for it
  void forget(ModelIndex model);

  // --- what is seen ---
  struct Listed {
    ModelIndex model = 0;
    std::uint64_t bytes = 0;
    std::uint64_t context = 0;
  };
  // Models that are ready now and were not before.
  std::vector<ModelIndex> looked(BackendId backend, const std::vector<Listed>& listed, Instant now);
  void reset(BackendId backend);                                  // its process is another one
  void served(BackendId backend, ModelIndex model, Instant now);  // so it is loaded
  // True: it was the load that a plan had ordered. The plan is over.
  bool load_done(BackendId backend, ModelIndex model, bool done, Instant now);

  // --- plans ---
  void begin(BackendId backend, Plan plan, Instant now);
  void give_up(BackendId backend, Instant now);
  struct Step {
    enum class Kind : std::uint8_t { kNone, kUnload, kLoad };
    Kind kind = Kind::kNone;
    ModelIndex model = 0;
    LoadReason reason = LoadReason::kDemand;
  };
  // What is to be done now for the plan; each is said once, an unload again after a while.
  Step next_step(BackendId backend, const Ledger& ledger, Instant now);
  Instant next_due(BackendId backend) const;

  // --- questions ---
  const Site& site(BackendId backend) const { return sites_[backend.value]; }
  const Seat& seat(BackendId backend, ModelIndex model) const {
    return seats_[model][backend.value];
  }
  bool ready(BackendId backend, ModelIndex model) const {
    return seat(backend, model).state == State::kReady;
  }
  bool coming(BackendId backend, ModelIndex model) const {
    const std::optional<Plan>& plan = sites_[backend.value].plan;
    return plan && plan->model == model;
  }
  // How much fits there by what was seen; nothing: no load has driven anybody out yet.
  std::optional<double> learned_bytes(BackendId backend) const;
  // Instances where it is ready; where it will be by a plan.
  std::uint32_t ready_at(ModelIndex model) const { return counts_[model].ready; }
  std::uint32_t coming_at(ModelIndex model) const { return counts_[model].coming; }
  // It was told to load the model, and that takes far longer than predicted.
  bool is_late(BackendId backend, ModelIndex model, Instant now) const;
  std::uint32_t plans() const { return plans_; }  // of all instances

 private:
  void learn_room(Site& site, double listed, double gone, Instant now);
  void set(BackendId backend, ModelIndex model, State state, Instant now);
  Seat& seat(BackendId backend, ModelIndex model) { return seats_[model][backend.value]; }

  void end_plan(Site& site);
  static Instant patience(const Plan& plan);  // with its load

  struct Count {
    std::uint32_t ready = 0;
    std::uint32_t coming = 0;
  };
  std::vector<Site> sites_;
  std::vector<std::vector<Seat>> seats_;  // by model, then by BackendId
  std::vector<Count> counts_;             // by model
  std::uint32_t plans_ = 0;
};

}  // namespace drover::core
