#include "core/scheduler.h"

#include <algorithm>

#include "core/scheduler_state.h"

namespace drover::core {
namespace {

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

Scheduler::State::State(Settings chosen, std::vector<BackendSpec> backends)
    : settings(chosen),
      rng(chosen.seed),
      variants(chosen.variants),
      picker(chosen.policy, backends.size(), &variants),
      budget(chosen),
      room(backends) {
  if (settings.policy == PolicyName::kExpectedCompletion) brain = std::make_unique<Brain>(backends);
  instances.reserve(backends.size());
  for (BackendSpec& spec : backends) {
    DROVER_ASSERT(spec.id.value == instances.size());
    instances.emplace_back(std::move(spec), settings);
  }
}

// --- requests ---

void Scheduler::State::on(const RequestArrived& arrived) {
  Result<void> fine = variants.check(arrived.ask);
  if (!fine) {
    out->push_back(Refuse{arrived.request, std::move(fine).error(), std::nullopt, {}});
    return;
  }
  if (arrived.ask.deadline <= now) {
    out->push_back(refuse_late(situation(arrived)));
    return;
  }
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
  if (brain) {
    const std::optional<WaitQueue::Waiting> queued = leave_queue(gone.request);
    if (queued) budget.ended(queued->attempt);
  }
  const std::optional<Room::Waiting> waiting = room.remove(gone.request);
  if (!waiting) return;
  budget.ended(waiting->attempt);
  room_changed = true;  // the claim was made for it, perhaps
}

void Scheduler::State::decide(const RequestArrived& request, Attempt attempt, Stage stage,
                              std::uint64_t needs) {
  const Prices prices = prices_for(request);
  Pick pick = picker.pick(instances, request, room, now, prices);
  if (pick.backend) return grant(request, attempt, std::move(pick));
  if (pick.waits) return wait_for_slot(request, attempt, std::move(pick), prices.model);
  if (pick.crowded()) return wait_for_room(request, attempt, std::move(pick));

  if (listed(request)) return refuse(refuse_listed(request, std::move(pick.why)), attempt);
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
  const ModelName& model = request.ask.model;
  const LoadedModel* loaded = instance.loaded_entry(model);
  const ModelName& held_as = loaded == nullptr ? model : loaded->name;
  OpenLease open;
  open.backend = instance.spec.id;
  open.model = names.take(model);
  open.held_as = held_as == model ? open.model : names.take(held_as);
  open.term = instance.health.term();
  open.attempt = attempt;
  const VariantOrder variant = choose_variant(instance, lease, request, held_as, pick.why);
  room.memory().granted(instance.spec.id, held_as, room.need(instance, model));
  const Prediction prediction = told_of_grant(instance, lease, request, pick, open);
  leases.put(lease, std::move(open));
  out->push_back(Grant{request.request, lease, instance.spec.id, pick.model_loaded, variant,
                       std::move(pick.why), prediction});
}

// Which load-time options it is sent on with.
VariantOrder Scheduler::State::choose_variant(Instance& instance, LeaseId lease,
                                              const RequestArrived& request,
                                              const ModelName& held_as, Explanation& why) {
  const BackendId backend = instance.spec.id;
  if (!variants.concern(request.ask)) {
    instance.hang.granted(lease, request.ask, now);
    return {};
  }
  const LoadedModel* loaded = instance.loaded_entry(request.ask.model);
  const bool in_use = room.memory().holds(backend, held_as);
  const std::uint64_t context = loaded == nullptr ? 0 : loaded->context_length;
  const Variants::Choice choice =
      variants.granted({backend, held_as, in_use, context}, request.ask, now);
  why.reload = choice.reload;
  if (choice.num_ctx == request.ask.num_ctx) {
    instance.hang.granted(lease, request.ask, now);
  } else {
    Ask sent = request.ask;
    sent.num_ctx = choice.num_ctx;
    instance.hang.granted(lease, sent, now);
  }
  return choice.order;
}

void Scheduler::State::refuse(Refuse refusal, Attempt attempt) {
  budget.ended(attempt);
  out->push_back(std::move(refusal));
}

// --- leases ---

void Scheduler::State::on(const LeaseFirstByte& first) {
  OpenLease* const lease = leases.find(first.lease);
  DROVER_ASSERT(lease != nullptr);
  if (!lease->awaiting_first) return;
  lease->awaiting_first = false;
  Instance& instance = instance_of(lease->backend);
  --instance.awaiting_first;
  instance.hang.first_byte(first.lease, now);
  if (!brain) return;
  const auto model = brain->forecasts.first_byte(instance.spec.id, first.lease, now);
  if (model) brain->changed.push_back(*model);
}

void Scheduler::State::on(const LeaseProgress& progress) {
  OpenLease* const lease = leases.find(progress.lease);
  DROVER_ASSERT(lease != nullptr);
  instance_of(lease->backend).hang.progressed(now);
  told_of_progress(*lease, progress);
}

void Scheduler::State::on(const LeaseHeldUp& held) {
  OpenLease* const lease = leases.find(held.lease);
  DROVER_ASSERT(lease != nullptr);
  instance_of(lease->backend).hang.held_up(held.lease, held.by_client, now);
  if (brain) brain->forecasts.held_up(lease->backend, held.lease);
}

void Scheduler::State::on(const LeaseSettled& settled) {
  OpenLease* const found = leases.find(settled.lease);
  DROVER_ASSERT(found != nullptr);
  const OpenLease lease = *found;
  leases.erase(settled.lease);

  Instance& instance = instance_of(lease.backend);
  DROVER_ASSERT(instance.in_flight > 0);
  --instance.in_flight;
  if (lease.awaiting_first) --instance.awaiting_first;
  if (lease.term == instance.health.term()) --instance.in_flight_of_term;
  budget.ended(lease.attempt);
  room_changed |= room.memory().ended(lease.backend, names.name(lease.held_as));
  const bool served = settled.result == AttemptResult::kServed;
  const bool answered =
      served || settled.result == AttemptResult::kBusy || settled.result == AttemptResult::kNoModel;
  // A load that failed or was left: nobody knows what is loaded now, and what one client asked for
  // must not be asked for again by all others.
  if (!answered) variants.loaded_without_options(lease.backend, names.name(lease.held_as));
  instance.hang.ended(settled.lease, answered, settled.usage, now);
  // Where nothing more was taken, of whatever model, something may be taken now.
  const bool was_shut = instance.in_flight + 1 >= instance.spec.max_in_flight ||
                        instance.health.state() == HealthState::kProbation;
  room_changed |= was_shut;
  if (brain && was_shut) brain->all_changed = true;
  told_of_end(lease, settled);
  change_health(instance, [&] { judge(instance, lease, settled); });
  if (served) {
    const ModelName& model = names.name(lease.held_as);
    const std::size_t loaded = instance.residency ? instance.residency->size() : 1;
    fell_back(instance, instance.fallback.answered(model, settled.usage, loaded, now));
  }
  advance_restart(instance);
  if (lease.held_as != lease.model) names.release(lease.held_as);
  names.release(lease.model);
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
      if (const ModelName& model = names.name(lease.model); instance.lists(model)) {
        instance.catalogue = without(*instance.catalogue, model);
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
    case AttemptResult::kTooLate:
      return;
  }
}

// --- observations ---

void Scheduler::State::on(const Observed& observed) {
  Instance& instance = instance_of(observed.backend);
  change_health(instance, [&] { look(instance, observed); });
  if (observed.kind == Observed::Kind::kResidency) look_for_a_fallback(instance);
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
      instance.restart.answered();
      return instance.health.heard(now);
    case Observed::Kind::kRefused:
      // Nobody listens before the process that shall has come so far: that says nothing yet.
      if (instance.is_starting()) return;
      room.memory().emptied(instance.spec.id);
      room_changed = true;
      return instance.health.refused(observed.detail, now);
    case Observed::Kind::kMissed:
      return instance.health.missed(observed.detail, now);
    case Observed::Kind::kCatalogue:
      if (brain) brain->all_changed = true;
      instance.catalogue = sorted(observed.catalogue);
      instance.catalogue_refresh = misses.refresh();
      instance.restart.answered();
      return instance.health.heard(now);
    case Observed::Kind::kResidency:
      instance.residency = observed.residency;
      room.memory().looked(instance.spec.id, *observed.residency);
      variants.looked(
          instance.spec.id, *observed.residency,
          [&](const ModelName& model) { return room.memory().holds(instance.spec.id, model); },
          now);
      room_changed = true;
      told_of_residency(instance);
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
  change_health(instance, [&] {
    instance.draining = changed.draining;
    // Back to work also means: not restarted after all, where that is still possible.
    if (!changed.draining) instance.restart.call_off();
  });
}

// --- health ---

// The requests that the instance owes a first byte may go elsewhere.
void Scheduler::State::take_back_leases(const Instance& instance, Stay stay) {
  std::vector<LeaseId> revoked;
  leases.for_each([&](LeaseId id, const OpenLease& lease) {
    if (lease.backend != instance.spec.id || !lease.awaiting_first || lease.revoked) return;
    // Only a first try is sure of its retry: the budget may be short of another one.
    const bool sure =
        lease.attempt == Attempt::kFirst && others_serve(names.name(lease.model), lease.backend);
    if (stay == Stay::kWhereNobodyElseServes && !sure) return;
    revoked.push_back(id);
  });
  std::ranges::sort(revoked);  // what is done to all of them has one order
  for (const LeaseId id : revoked) {
    leases.find(id)->revoked = true;
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
    if (instance.health.next_change() <= now) {
      change_health(instance, [&] { instance.health.time_passed(now); });
    }
    if (next_care(instance) <= now) look_after(instance);
  }
  if (misses.next_deadline() <= now) decide_last(misses.expired(now));
  room_changed |= room.next_deadline() <= now;
}

void Scheduler::State::arm() {
  Instant next = std::min(misses.next_deadline(), room.next_deadline());
  if (brain) next = std::min(next, next_queue_change());
  for (const Instance& instance : instances) {
    next = std::min({next, instance.health.next_change(), next_care(instance)});
  }
  if (next == kNever || next == armed) return;
  // What became due by this very event is looked at in the next one.
  next = std::max(next, now + std::chrono::milliseconds(1));
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
  state.reconsider_waiting();
  state.serve_queue();
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
                             .process = instance.process,
                             .restarting = instance.restart.under_way()});
  }
  view.gpus = state_->gpus;
  if (state_->brain) {
    view.queued = state_->brain->queue.size();
    view.queued_bytes = state_->brain->queue.bytes();
    for (std::size_t band = 0; band < kPriorities; ++band) {
      view.queued_of[band] = state_->brain->queue.size(static_cast<Priority>(band));
    }
    for (const auto& [model, line] : state_->brain->queue.lines()) {
      if (view.lines.size() == LineView::kMostShown) break;
      view.lines.push_back({state_->brain->forecasts.name(model), line.size(),
                            state_->expected_wait(model, line.size())});
    }
    view.tenants = state_->brain->shares.active();
    view.predictions = state_->brain->forecasts.error().samples;
    view.prediction_error = state_->brain->forecasts.error().mean;
  }
  return view;
}

std::uint64_t Scheduler::generation() const { return state_->generation; }

}  // namespace drover::core
