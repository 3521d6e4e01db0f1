#include "core/scheduler.h"

#include <algorithm>
#include <map>

#include "base/check.h"
#include "base/rng.h"
#include "core/instance.h"
#include "core/miss_queue.h"
#include "core/picker.h"
#include "core/refusal.h"
#include "core/retry_budget.h"

namespace drover::core {
namespace {

struct OpenLease {
  BackendId backend;
  ModelName model;
  Attempt attempt = Attempt::kFirst;
  std::uint32_t term = 0;  // of the instance's health, when granted
  bool awaiting_first = true;
  bool revoked = false;
};

// Shared when it is sorted already, which is what a probe should send.
std::shared_ptr<const Catalogue> sorted(std::shared_ptr<const Catalogue> catalogue) {
  DROVER_ASSERT(catalogue != nullptr);
  if (std::ranges::is_sorted(*catalogue, {}, &InstalledModel::name)) return catalogue;
  auto copy = std::make_shared<Catalogue>(*catalogue);
  std::ranges::stable_sort(*copy, {}, &InstalledModel::name);
  return copy;
}

std::shared_ptr<const Catalogue> without(const Catalogue& catalogue, const ModelName& model) {
  auto copy = std::make_shared<Catalogue>(catalogue);
  std::erase_if(*copy, [&](const InstalledModel& entry) { return entry.name == model; });
  return copy;
}

std::string sentence(const LeaseSettled& settled) {
  return settled.detail.empty() ? std::string(to_string(settled.result)) : settled.detail;
}

}  // namespace

struct Scheduler::State {
  State(Settings chosen, std::vector<BackendSpec> backends);

  // One per kind of event.
  void on(const RequestArrived& arrived);
  void on(const RequestGone& gone);
  void on(const LeaseFirstByte& first);
  void on(const LeaseSettled& settled);
  void on(const Observed& observed);
  void on(const RefreshDone&);
  void on(const GpusObserved& observed) { gpus = observed.report; }
  void on(const ProcessObserved& observed) {
    instance_of(observed.backend).process = observed.process;
  }
  void on(const DrainChanged& changed);
  void on(const Tick&) { armed = kNever; }

  enum class Stage { kFirstLook, kLastLook };  // before, and after waiting for catalogues
  void decide(const RequestArrived& request, Attempt attempt, Stage stage, std::uint64_t needs);
  void decide_last(const std::vector<Miss>& misses_due);
  bool listed(const RequestArrived& request) const;
  void grant(const RequestArrived& request, Attempt attempt, Pick pick);
  void refuse(Refuse refusal, Attempt attempt);

  void judge(Instance& instance, const OpenLease& lease, const LeaseSettled& settled);
  void look(Instance& instance, const Observed& observed);
  template <class Change>
  void change_health(Instance& instance, Change change);
  void take_back_leases(const Instance& instance);
  bool others_serve(const ModelName& model, BackendId except) const;
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
  Picker picker;
  RetryBudget budget;
  MissQueue misses;
  std::map<LeaseId, OpenLease> leases;  // ordered: what is done to all of them has one order
  std::uint64_t last_lease = 0;
  std::uint64_t generation = 0;
  Instant now{};
  Instant armed = kNever;  // the WakeAt that is outstanding
  Effects* out = nullptr;  // of the event being handled
};

Scheduler::State::State(Settings chosen, std::vector<BackendSpec> backends)
    : settings(chosen), rng(chosen.seed), picker(chosen.policy, backends.size()), budget(chosen) {
  instances.reserve(backends.size());
  for (BackendSpec& spec : backends) {
    DROVER_ASSERT(spec.id.value == instances.size());
    instances.emplace_back(std::move(spec), settings);
  }
}

// --- requests ---

void Scheduler::State::on(const RequestArrived& arrived) {
  const Attempt attempt = classify(arrived);
  if (arrived.attempt > settings.max_retries) {
    out->push_back(refuse_retries_spent(situation(arrived)));
    return;
  }
  if (!budget.allows(attempt)) {
    out->push_back(refuse_over_budget(situation(arrived)));
    return;
  }
  budget.started(attempt);
  decide(arrived, attempt, Stage::kFirstLook, 0);
}

void Scheduler::State::on(const RequestGone& gone) {
  const std::optional<Miss> miss = misses.remove(gone.request);
  if (miss) budget.ended(miss->attempt);
}

void Scheduler::State::decide(const RequestArrived& request, Attempt attempt, Stage stage,
                              std::uint64_t needs) {
  Pick pick = picker.pick(instances, request, now);
  if (pick.backend) return grant(request, attempt, std::move(pick));

  if (listed(request))
    return refuse(refuse_unserved(situation(request), std::move(pick.why)), attempt);
  if (stage == Stage::kLastLook) {
    return refuse(refuse_unlisted(situation(request), std::move(pick.why), needs), attempt);
  }
  if (misses.size() >= settings.max_waiting) {
    return refuse(refuse_waiting_full(situation(request), std::move(pick.why)), attempt);
  }
  misses.add(request, attempt, now + settings.refresh_wait);
}

// Does a catalogue list the model? That of an instance whose store has just denied it does not
// count, if it was the one try; where another instance failed before, that one does have the model.
bool Scheduler::State::listed(const RequestArrived& request) const {
  const bool denied = request.cause == RetryCause::kNoModel && request.tried.size() == 1;
  return std::ranges::any_of(instances, [&](const Instance& instance) {
    if (denied && instance.spec.id == request.tried.front()) return false;
    return instance.lists(request.ask.model);
  });
}

void Scheduler::State::decide_last(const std::vector<Miss>& due) {
  for (const Miss& miss : due) decide(miss.request, miss.attempt, Stage::kLastLook, miss.needs);
}

void Scheduler::State::grant(const RequestArrived& request, Attempt attempt, Pick pick) {
  Instance& instance = instance_of(*pick.backend);
  picker.granted(instance, request.ask.model, pick, now, settings.last_resort_interval);
  ++instance.in_flight;
  ++instance.in_flight_of_term;
  ++instance.awaiting_first;
  const LeaseId lease{++last_lease};
  leases.emplace(lease,
                 OpenLease{instance.spec.id, request.ask.model, attempt, instance.health.term()});
  out->push_back(
      Grant{request.request, lease, instance.spec.id, pick.model_loaded, std::move(pick.why)});
}

void Scheduler::State::refuse(Refuse refusal, Attempt attempt) {
  budget.ended(attempt);
  out->push_back(std::move(refusal));
}

// --- leases ---

void Scheduler::State::on(const LeaseFirstByte& first) {
  const auto found = leases.find(first.lease);
  DROVER_ASSERT(found != leases.end());
  if (!found->second.awaiting_first) return;
  found->second.awaiting_first = false;
  --instance_of(found->second.backend).awaiting_first;
}

void Scheduler::State::on(const LeaseSettled& settled) {
  const auto found = leases.find(settled.lease);
  DROVER_ASSERT(found != leases.end());
  const OpenLease lease = std::move(found->second);
  leases.erase(found);

  Instance& instance = instance_of(lease.backend);
  DROVER_ASSERT(instance.in_flight > 0);
  --instance.in_flight;
  if (lease.awaiting_first) --instance.awaiting_first;
  if (lease.term == instance.health.term()) --instance.in_flight_of_term;
  budget.ended(lease.attempt);
  change_health(instance, [&] { judge(instance, lease, settled); });
}

// What the end of a request says about its instance.
void Scheduler::State::judge(Instance& instance, const OpenLease& lease,
                             const LeaseSettled& settled) {
  switch (settled.result) {
    case AttemptResult::kServed:
      ++instance.served;
      instance.health.request_served(lease.term, now);
      return;
    case AttemptResult::kRefused:
      ++instance.failed;
      instance.health.request_refused(lease.term, sentence(settled), now);
      return;
    case AttemptResult::kDied:
    case AttemptResult::kFailed:
    case AttemptResult::kTimedOut:
      ++instance.failed;
      instance.health.request_failed(lease.term, sentence(settled), now, rng);
      return;
    case AttemptResult::kNoModel:
      // Its catalogue is wrong in this entry. Until it is read anew, the entry does not exist.
      if (instance.lists(lease.model)) {
        instance.catalogue = without(*instance.catalogue, lease.model);
        misses.want_refresh();
      }
      instance.health.request_answered(lease.term);
      return;
    case AttemptResult::kBusy:
      instance.health.request_answered(lease.term);
      return;
    case AttemptResult::kClientGone:
    case AttemptResult::kRevoked:
    case AttemptResult::kOwnFault:
      return;
  }
}

// --- observations ---

void Scheduler::State::on(const Observed& observed) {
  Instance& instance = instance_of(observed.backend);
  change_health(instance, [&] { look(instance, observed); });
  if (observed.kind != Observed::Kind::kCatalogue) return;
  // Who waits for a model that has just turned up need not wait for the rest of the refresh; who
  // was there already learns nothing from it.
  decide_last(misses.answered([&](const RequestArrived& request) {
    const bool tried = std::ranges::find(request.tried, instance.spec.id) != request.tried.end();
    return !tried && instance.lists(request.ask.model);
  }));
}

void Scheduler::State::look(Instance& instance, const Observed& observed) {
  switch (observed.kind) {
    case Observed::Kind::kAnswered:
      return instance.health.heard(now);
    case Observed::Kind::kRefused:
      return instance.health.refused(observed.detail, now);
    case Observed::Kind::kMissed:
      return instance.health.missed(observed.detail, now);
    case Observed::Kind::kCatalogue:
      instance.catalogue = sorted(observed.catalogue);
      instance.catalogue_refresh = misses.refresh();
      return instance.health.heard(now);
    case Observed::Kind::kResidency:
      instance.residency = observed.residency;
      return instance.health.heard_residency(now);
    case Observed::Kind::kResidencyMissed:
      return instance.health.residency_missed(now);
    case Observed::Kind::kVersion:
      instance.version = observed.version;
      return instance.health.heard(now);
  }
}

void Scheduler::State::on(const RefreshDone&) { decide_last(misses.refresh_done()); }

void Scheduler::State::on(const DrainChanged& changed) {
  Instance& instance = instance_of(changed.backend);
  change_health(instance, [&] { instance.draining = changed.draining; });
}

// --- health ---

// Every change of an instance's state goes through here, so that none is left untold.
template <class Change>
void Scheduler::State::change_health(Instance& instance, Change change) {
  const HealthState before = instance.shown_state();
  const std::uint32_t term = instance.health.term();
  change();
  const HealthState after = instance.shown_state();
  if (before != after) {
    out->push_back(HealthChanged{instance.spec.id, before, after, instance.shown_reason()});
  }
  if (term == instance.health.term()) return;
  instance.in_flight_of_term = 0;
  // What was loaded there died with the process, or is not to be relied on.
  instance.residency = nullptr;
  take_back_leases(instance);
}

// The requests that the instance owes a first byte may go elsewhere. Where it still answers, those
// stay that nobody else is sure to serve: they have nothing to win, and two bad requests must not
// throw out everybody's on a lone instance.
void Scheduler::State::take_back_leases(const Instance& instance) {
  const bool answers = instance.health.cause() == DownCause::kRequests;
  for (auto& [id, lease] : leases) {
    if (lease.backend != instance.spec.id || !lease.awaiting_first || lease.revoked) continue;
    // Only a first try is sure of its retry: the budget may be short of another one.
    const bool certain = lease.attempt == Attempt::kFirst;
    if (answers && !(certain && others_serve(lease.model, lease.backend))) continue;
    lease.revoked = true;
    out->push_back(RevokeLease{id});
  }
}

bool Scheduler::State::others_serve(const ModelName& model, BackendId except) const {
  return std::ranges::any_of(instances, [&](const Instance& other) {
    return other.spec.id != except && other.shown_state() == HealthState::kUp && other.lists(model);
  });
}

// --- time ---

void Scheduler::State::time_passes() {
  for (Instance& instance : instances) {
    if (instance.health.next_change() > now) continue;
    change_health(instance, [&] { instance.health.time_passed(now); });
  }
  if (misses.next_deadline() <= now) decide_last(misses.expired(now));
}

void Scheduler::State::arm() {
  Instant next = misses.next_deadline();
  for (const Instance& instance : instances) next = std::min(next, instance.health.next_change());
  if (next == kNever || next == armed) return;
  armed = next;
  out->push_back(WakeAt{next});
}

// --- the face ---

Scheduler::Scheduler(Settings settings, std::vector<BackendSpec> backends)
    : state_(std::make_unique<State>(settings, std::move(backends))) {}

Scheduler::~Scheduler() = default;

void Scheduler::handle(const Event& event, Instant now, Effects& out) {
  State& state = *state_;
  DROVER_ASSERT(now >= state.now);
  state.now = now;
  state.out = &out;
  ++state.generation;
  // Time first: a request that comes at the very end of a wait finds the wait over.
  state.time_passes();
  std::visit([&](const auto& each) { state.on(each); }, event);
  if (state.misses.start_refresh()) out.push_back(RefreshCatalogues{});
  state.arm();
  state.out = nullptr;
}

FleetView Scheduler::view() const {
  FleetView view;
  view.policy = to_string(state_->settings.policy);
  view.generation = state_->generation;
  view.backends.reserve(state_->instances.size());
  for (const Instance& instance : state_->instances) {
    view.backends.push_back({.id = instance.spec.id,
                             .name = instance.spec.name,
                             .url = instance.spec.url,
                             .health = instance.shown_state(),
                             .reason = instance.shown_reason(),
                             .since = instance.health.since(),
                             .in_flight = instance.in_flight,
                             .awaiting_first = instance.awaiting_first,
                             .served = instance.served,
                             .failed = instance.failed,
                             .version = instance.version,
                             .catalogue = instance.catalogue,
                             .residency = instance.residency,
                             .supervised = instance.spec.supervised,
                             .placement = instance.spec.placement,
                             .gpus = instance.spec.gpus,
                             .process = instance.process});
  }
  view.gpus = state_->gpus;
  return view;
}

std::uint64_t Scheduler::generation() const { return state_->generation; }

}  // namespace drover::core
