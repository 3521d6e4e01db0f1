#pragma once
// Private to core/: the scheduler's state, and what its parts know of each other. scheduler.cc
// keeps the ledger of leases and says who is told about which event; scheduler_care.cc looks after
// instances (restarts, hangs, fallbacks to the CPU); scheduler_room.cc finds GPU memory;
// scheduler_queue.cc lets requests wait for a slot and has models loaded for them.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/flat_map.h"
#include "base/rng.h"
#include "core/instance.h"
#include "core/miss_queue.h"
#include "core/names_in_use.h"
#include "core/picker.h"
#include "core/placer.h"
#include "core/refusal.h"
#include "core/retry_budget.h"
#include "core/room.h"
#include "core/scheduler.h"
#include "core/wait_queue.h"

namespace drover::core {

struct OpenLease {
  BackendId backend;
  NameIndex model = 0;
  NameIndex held_as = 0;   // in the ledger of memory: another one where the instance lists another
  std::uint32_t term = 0;  // of the instance's health, when granted
  TenantId tenant;
  float prompt_tokens = 0;   // estimated
  float charged_tokens = 0;  // to the tenant, so far
  Attempt attempt = Attempt::kFirst;
  Priority priority = Priority::kNormal;
  bool awaiting_first = true;
  bool revoked = false;
};

// What expected_completion needs beside the rest; other policies do without.
struct Brain {
  explicit Brain(std::span<const BackendSpec> specs) : forecasts(specs) {}

  Forecasts forecasts;
  WaitQueue queue;
  FairShares shares;
  Placer placer;
  std::vector<ModelIndex> changed;  // models whose line may have something to hope for
  // The same where something has changed for many: these are looked at few at a time, in turn, so
  // that no event takes long.
  std::set<ModelIndex> others;
  ModelIndex looked_at_last = 0;  // of these
  bool others_put_off = false;    // by the last event
  // Lines where somebody left the last slot to others when they were looked at last, and who.
  std::map<ModelIndex, std::vector<WaitQueue::HeldBack>> keeping;
  std::uint64_t shares_seen = 0;      // FairShares::changes() when those were looked over last,
  std::size_t to_look_over = 0;       // or how many still are to be,
  ModelIndex looked_over_last = 0;    // behind this one, in turn
  std::vector<ModelIndex> looked_at;  // what was `changed` while it is served; keeps its room
  bool all_changed = false;
};

struct Scheduler::State {
  State(Settings chosen, std::vector<BackendSpec> backends);

  // One per kind of event.
  void on(const RequestArrived& arrived);
  void on(const RequestGone& gone);
  void on(const LeaseFirstByte& first);
  void on(const LeaseProgress& progress);
  void on(const LeaseHeldUp& held);
  void on(const LeaseSettled& settled);
  void on(const Observed& observed);
  void on(const RefreshDone&);
  void on(const GpusObserved& observed);
  void on(const ProcessObserved& observed);
  void on(const DrainChanged& changed);
  void on(const RestartRequested& requested);
  void on(const CanaryDone& done);
  void on(const LoadWanted& wanted);
  void on(const LoadDone& done);
  void on(const Tick&) { armed = kNever; }

  enum class Stage { kFirstLook, kLastLook };  // before, and after waiting for catalogues
  void decide(const RequestArrived& request, Attempt attempt, Stage stage, std::uint64_t needs);
  void decide_last(const std::vector<Miss>& misses_due);
  bool listed(const RequestArrived& request) const;
  void grant(const RequestArrived& request, Attempt attempt, Pick pick);
  VariantOrder choose_variant(Instance& instance, LeaseId lease, const RequestArrived& request,
                              const ModelName& held_as, Explanation& why);
  void refuse(Refuse refusal, Attempt attempt);

  void judge(Instance& instance, const OpenLease& lease, const LeaseSettled& settled);
  void look(Instance& instance, const Observed& observed);
  template <class Change>
  void change_health(Instance& instance, Change change);
  enum class Stay : std::uint8_t { kNone, kWhereNobodyElseServes };
  void take_back_leases(const Instance& instance, Stay stay);
  bool others_serve(const ModelName& model, BackendId except) const;

  // --- scheduler_care.cc ---
  void begin_restart(Instance& instance, RestartCause cause, std::string reason, Duration grace);
  void advance_restart(Instance& instance);
  void look_after(Instance& instance);  // time has passed
  void look_for_a_hang(Instance& instance);
  void send_canary(Instance& instance, const std::optional<Suspicion>& suspicion);
  void declare_hung(Instance& instance, const std::string& reason);
  void look_for_a_fallback(Instance& instance);
  void fell_back(Instance& instance, const std::optional<Fallback>& fallback);
  Instant next_care(const Instance& instance) const;

  // --- scheduler_room.cc ---
  void wait_for_room(const RequestArrived& request, Attempt attempt, Pick pick,
                     Instant slot_until = kNever);
  Refuse refuse_listed(const RequestArrived& request, Explanation why);
  void reconsider_waiting();
  Sizes sizes(const RequestArrived& request, const Explanation& why) const;

  // --- scheduler_queue.cc; all but the first two do nothing without a brain ---
  void wait_for_slot(const RequestArrived& request, Attempt attempt, Pick pick, ModelIndex model,
                     Instant until = kNever);
  bool find_place(const Ask& ask);
  void leaves_unserved(WaitQueue::Waiting waiting, QueueEnd cause);
  Duration expected_wait(ModelIndex model, std::size_t ahead) const;
  Prices prices_for(const RequestArrived& request);
  Prediction told_of_grant(const Instance& instance, LeaseId lease, const RequestArrived& request,
                           const Pick& pick, OpenLease& open);
  void told_of_progress(OpenLease& lease, const LeaseProgress& progress);
  void told_of_end(const OpenLease& lease, const LeaseSettled& settled);
  void told_of_residency(const Instance& instance);
  void forget_residency(BackendId backend);
  void serve_queue();
  void serve_lines();
  void serve_some_others(std::size_t served);
  void look_over_held_back();
  void serve_line(ModelIndex model);
  std::vector<WaitQueue::HeldBack> serve_all_possible(ModelIndex model);
  bool others_may_begin(const RequestArrived& request, ModelIndex model, const Pick& pick) const;
  const WaitQueue::Waiting* who_suits(WaitQueue::Line& line, const WaitQueue::Waiting& next,
                                      BackendId backend);
  void carry_out_plans();
  void call_off(BackendId backend);  // its plan
  void call_off_demand(ModelIndex model);
  Instant next_queue_change() const;
  std::optional<WaitQueue::Waiting> leave_queue(RequestId request);
  void left_line(const WaitQueue::Waiting& waiting);
  Surroundings fleet_for_placer();

  void time_passes();
  void arm();

  Instance& instance_of(BackendId backend) {
    DROVER_ASSERT(backend.value < instances.size());
    return instances[backend.value];
  }
  Situation situation(const RequestArrived& request) const {
    return {request, instances, settings, now};
  }

  Settings settings;
  Rng rng;
  std::vector<Instance> instances;
  std::shared_ptr<const GpuReport> gpus;  // null: nobody reads them
  Variants variants;
  Picker picker;
  RetryBudget budget;
  MissQueue misses;
  Room room;
  bool room_changed = false;     // something that those who wait for memory may have waited for
  std::unique_ptr<Brain> brain;  // of expected_completion; else null
  FlatMap<LeaseId, OpenLease> leases;
  NamesInUse names;  // of their models
  std::uint64_t last_lease = 0;
  std::uint64_t generation = 0;
  Instant now{};
  Instant armed = kNever;  // the WakeAt that is outstanding
  Effects* out = nullptr;  // of the event being handled
};

// Every change of an instance's state goes through here, so that none is left untold.
template <class Change>
void Scheduler::State::change_health(Instance& instance, Change change) {
  const HealthState before = instance.shown_state();
  const std::uint32_t term = instance.health.term();
  change();
  const HealthState after = instance.shown_state();
  if (before != after) {
    room_changed = true;
    if (brain) brain->all_changed = true;
    out->push_back(HealthChanged{instance.spec.id, before, after, instance.shown_reason()});
  }
  if (term == instance.health.term()) return;
  instance.in_flight_of_term = 0;
  // What was loaded there died with the process, or is not to be relied on.
  instance.residency = nullptr;
  variants.emptied(instance.spec.id);
  forget_residency(instance.spec.id);
  // Where it still answers, and nobody else has the model, they stay: they have nothing to win, and
  // two bad requests must not throw out everybody's on a lone instance.
  const bool answers = instance.health.cause() == DownCause::kRequests;
  take_back_leases(instance, answers ? Stay::kWhereNobodyElseServes : Stay::kNone);
}

}  // namespace drover::core
