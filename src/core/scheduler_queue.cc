// The scheduler's waiting room for slots, and the loads that are planned for those who wait. The
// rules are in wait_queue.h, forecasts.h, placer.h and seating.h; here they meet the ledger of
// leases and the effects.

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "core/scheduler_state.h"

namespace drover::core {

Prices Scheduler::State::prices_for(const RequestArrived& request) {
  if (!brain) return {};
  const auto model = brain->forecasts.model_of(instances, request.ask.model);
  if (!model) return {};
  return {&brain->forecasts, *model,
          brain->shares.leaves_last_slot(request.ask.tenant, request.ask.priority), &brain->queue};
}

Surroundings Scheduler::State::fleet_for_placer() {
  return {instances, room, brain->forecasts, brain->queue, now, brain->shares, settings.stays};
}

// --- what happens ---

Prediction Scheduler::State::told_of_grant(const Instance& instance, LeaseId lease,
                                           const RequestArrived& request, const Pick& pick,
                                           OpenLease& open) {
  if (!brain) return {};
  Forecasts& forecasts = brain->forecasts;
  const Prices prices = pick.model ? Prices{&forecasts, *pick.model} : prices_for(request);
  open.tenant = request.ask.tenant;
  open.priority = request.ask.priority;
  if (prices.forecasts != nullptr) {
    const double prompt = forecasts.estimates().prompt_tokens(prices.model, request.ask.body_bytes);
    const double output = forecasts.estimates().output_tokens(prices.model);
    open.prompt_tokens = static_cast<float>(prompt);
    open.charged_tokens = static_cast<float>(prompt + FairShares::kOutputWeight * output);
  }
  brain->shares.began(open.tenant, open.priority, open.charged_tokens);
  if (prices.forecasts == nullptr) return {};
  const Ledger::Site& site = forecasts.ledger().site(instance.spec.id);
  const bool idle = site.open.empty();
  forecasts.arrived(prices.model, now);
  if (!idle && forecasts.seating().site(instance.spec.id).known) {
    brain->placer.consider_copy(fleet_for_placer(), prices.model, instance.spec.id,
                                request.ask.body_bytes);
  }
  return forecasts.granted(instance, prices.model, lease, request.ask,
                           {pick.first_s, pick.cached_bytes}, now);
}

// An answer that runs on costs its tenant more from then on.
void Scheduler::State::told_of_progress(OpenLease& lease, const LeaseProgress& progress) {
  if (!brain) return;
  brain->forecasts.progressed(lease.backend, progress.lease, progress.tokens, now);
  const auto written = static_cast<float>(progress.tokens);
  const float so_far = lease.prompt_tokens + FairShares::kOutputWeight * written;
  if (so_far <= lease.charged_tokens) return;
  brain->shares.correct(lease.tenant, so_far - lease.charged_tokens);
  lease.charged_tokens = so_far;
}

void Scheduler::State::told_of_end(const OpenLease& lease, const LeaseSettled& settled) {
  if (!brain) return;
  const Usage& usage = settled.usage;
  const bool said = usage.prompt_tokens + usage.output_tokens > 0;
  if (settled.result == AttemptResult::kServed && said) {
    const double cost = static_cast<double>(usage.prompt_tokens) +
                        FairShares::kOutputWeight * static_cast<double>(usage.output_tokens);
    brain->shares.correct(lease.tenant, cost - lease.charged_tokens);
  } else if (lease.awaiting_first) {
    brain->shares.correct(lease.tenant, -lease.charged_tokens);  // it got nothing
  }
  brain->shares.ended(lease.tenant, lease.priority, now);
  const auto model = brain->forecasts.ended(lease.backend, settled, now);
  if (!model) return;
  brain->changed.push_back(*model);
  if (brain->queue.size() == 0) return;
  // Of this GPU there is more to be had for those, too, whose model is another one. Where nothing
  // is known, or its load failed, a request may go all the same.
  const Seating& seating = std::as_const(brain->forecasts).seating();
  const bool known = seating.site(lease.backend).known;
  for (const auto& [other, held] : brain->keeping) {
    const Seating::Seat& seat = seating.seat(lease.backend, other);
    const bool absent = seat.state == Seating::State::kAbsent && seat.failures == 0;
    if (!known || !absent) brain->others.insert(other);
  }
}

void Scheduler::State::told_of_residency(const Instance& instance) {
  if (!brain) return;
  const bool known = brain->forecasts.seating().site(instance.spec.id).known;
  for (const ModelIndex model : brain->forecasts.looked(instance, now)) {
    brain->changed.push_back(model);
  }
  brain->all_changed |= !known;
}

void Scheduler::State::forget_residency(BackendId backend) {
  if (!brain) return;
  brain->forecasts.seating().reset(backend);
  brain->all_changed = true;
}

void Scheduler::State::on(const LoadWanted& wanted) {
  if (!brain) {
    out->push_back(Load{wanted.backend, wanted.model, LoadReason::kWanted});
    return;
  }
  const auto model = brain->forecasts.model_of(instances, wanted.model);
  if (model) brain->placer.consider_wanted(fleet_for_placer(), *model, wanted.backend);
}

void Scheduler::State::on(const LoadDone& done) {
  if (!brain) return;
  const Instance& instance = instance_of(done.backend);
  if (done.loaded) variants.loaded_without_options(done.backend, done.model);
  const auto model = brain->forecasts.model_of(instances, done.model);
  if (room.memory().holds(done.backend, done.model)) {
    room_changed |= room.memory().ended(done.backend, done.model);
  }
  if (!model) return;
  brain->forecasts.load_done(instance.spec.id, *model, done.loaded, now);
  if (done.loaded) call_off_demand(*model);
  brain->placer.place_became_free();
  brain->changed.push_back(*model);
}

// It is there, so that nobody has to leave for it elsewhere; whether a copy pays is looked at anew.
void Scheduler::State::call_off_demand(ModelIndex model) {
  const Seating& seating = std::as_const(brain->forecasts).seating();
  if (seating.coming_at(model) == 0) return;
  for (const Instance& instance : instances) {
    const auto& plan = seating.site(instance.spec.id).plan;
    if (!plan || plan->model != model || plan->ordered) continue;
    if (plan->reason == LoadReason::kDemand) call_off(instance.spec.id);
  }
}

void Scheduler::State::call_off(BackendId backend) {
  Seating& seating = brain->forecasts.seating();
  const std::vector<ModelIndex>& leaving = seating.site(backend).plan->leaving;
  brain->changed.insert(brain->changed.end(), leaving.begin(), leaving.end());
  seating.give_up(backend, now);
  brain->placer.place_became_free();
}

// --- waiting ---

Duration Scheduler::State::expected_wait(ModelIndex model, std::size_t ahead) const {
  constexpr double kLongest = 1e6;  // seconds
  const double wait = brain->forecasts.wait_s(model, ahead, now);
  return std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(std::min(wait, kLongest)));
}

void Scheduler::State::wait_for_slot(const RequestArrived& request, Attempt attempt, Pick pick,
                                     ModelIndex model, Instant until) {
  WaitQueue& queue = brain->queue;
  const Ask& ask = request.ask;
  const WaitQueue::Line* line = queue.line(model);
  const std::size_t ahead = line == nullptr ? 0 : line->ahead_of(ask.tenant, ask.priority);
  const Duration wait = expected_wait(model, ahead);
  // Who comes back from waiting for memory has been let in, and has no second patience.
  const bool at_the_door = until == kNever && request.attempt == 0;
  until = std::min({until, now + settings.queue_wait, std::max(ask.deadline, now)});
  // Who was let in stays in: a retry has waited before. And who waits for a load serves those who
  // come later: without them a model that takes long to load would never be loaded.
  const bool loaded = brain->forecasts.seating().ready_at(model) > 0;
  std::optional<QueueEnd> end;
  if (loaded && at_the_door && wait > until - now) end = QueueEnd::kTooLong;
  if (!end && !find_place(ask)) end = QueueEnd::kFull;
  if (end) {
    return refuse(refuse_queued(situation(request), std::move(pick.why), *end, wait), attempt);
  }
  brain->forecasts.hold(model);
  if (brain->shares.leaves_last_slot(ask.tenant, ask.priority) &&
      others_may_begin(request, model, pick)) {
    std::vector<WaitQueue::HeldBack>& held = brain->keeping[model];
    const WaitQueue::HeldBack who{ask.tenant, ask.priority};
    if (std::ranges::find(held, who) == held.end()) held.push_back(who);
  }
  brain->shares.queued(ask.tenant, ask.priority);
  queue.add({request, attempt, model, now, until}, brain->shares);
}

// Where all places are taken, those who came last of those less important leave, if a few are
// enough.
bool Scheduler::State::find_place(const Ask& ask) {
  constexpr std::size_t kMost = 8;
  WaitQueue& queue = brain->queue;
  if (ask.body_bytes > settings.max_queued_bytes || settings.max_queued == 0) return false;
  const std::size_t places = queue.size() + 1;
  const std::uint64_t bytes = queue.bytes() + ask.body_bytes;
  const std::size_t lacking = places - std::min<std::size_t>(places, settings.max_queued);
  const std::uint64_t too_much = bytes - std::min(bytes, settings.max_queued_bytes);
  if (lacking == 0 && too_much == 0) return true;
  const std::vector<RequestId> leaving = queue.newest_below(ask.priority, lacking, too_much, kMost);
  for (const RequestId each : leaving) leaves_unserved(*queue.remove(each), QueueEnd::kDisplaced);
  return !leaving.empty();
}

void Scheduler::State::leaves_unserved(WaitQueue::Waiting waiting, QueueEnd cause) {
  const Ask& ask = waiting.request.ask;
  left_line(waiting);
  const WaitQueue::Line* line = brain->queue.line(waiting.model);
  const std::size_t ahead = line == nullptr ? 0 : line->ahead_of(ask.tenant, ask.priority);
  Pick pick = picker.pick(instances, waiting.request, room, now, prices_for(waiting.request));
  pick.why.waited_as = waiting.position;
  refuse(refuse_queued(situation(waiting.request), std::move(pick.why), cause,
                       expected_wait(waiting.model, ahead)),
         waiting.attempt);
}

std::optional<WaitQueue::Waiting> Scheduler::State::leave_queue(RequestId request) {
  std::optional<WaitQueue::Waiting> left = brain->queue.remove(request);
  if (left) left_line(*left);
  return left;
}

void Scheduler::State::left_line(const WaitQueue::Waiting& waiting) {
  const Ask& ask = waiting.request.ask;
  brain->forecasts.release(waiting.model);
  brain->shares.left_queue(ask.tenant, ask.priority, now);
  if (brain->queue.line(waiting.model) == nullptr) brain->keeping.erase(waiting.model);
}

// --- serving ---

// After every event: who can begin begins, oldest first; then loads are planned for the rest.
void Scheduler::State::serve_queue() {
  if (!brain) return;
  brain->all_changed |= brain->shares.pass(now);
  if (brain->queue.size() > 0) {
    serve_lines();
  } else {
    // Nobody hopes for anything, and nobody is held back.
    brain->changed.clear();
    brain->others.clear();
    brain->keeping.clear();
    brain->to_look_over = 0;
    brain->all_changed = brain->others_put_off = false;
  }
  brain->placer.consider_waiting(fleet_for_placer());
  carry_out_plans();
}

void Scheduler::State::serve_lines() {
  WaitQueue& queue = brain->queue;
  while (auto expired = queue.take_expired(now)) {
    leaves_unserved(*std::move(expired), QueueEnd::kWaitOver);
  }
  for (const ModelIndex model : queue.rise(now, brain->shares)) brain->changed.push_back(model);
  look_over_held_back();
  if (std::exchange(brain->all_changed, false)) {
    for (const auto& [model, line] : queue.lines()) brain->others.insert(model);
  }
  // Serving a line can change others, when a refusal frees memory, say: those are for the next
  // event.
  std::swap(brain->changed, brain->looked_at);
  std::size_t served = 0;
  for (const ModelIndex model : brain->looked_at) {
    served += queue.line(model) == nullptr ? 0 : 1;
    serve_line(model);
  }
  brain->looked_at.clear();
  serve_some_others(served);
  look_over_held_back();
}

// A line costs 10 to 60 us among 64 instances, and there may be hundreds of lines: as many as are
// looked up at so many instances. Where this event has served as many already they are left to the
// next one, which is due within a millisecond, and no further.
void Scheduler::State::serve_some_others(std::size_t served) {
  constexpr std::size_t kInstances = 64;
  const bool enough = served * instances.size() >= kInstances;
  brain->others_put_off = enough && !brain->others_put_off && !brain->others.empty();
  if (brain->others_put_off) return;
  const std::size_t at_once = std::max<std::size_t>(1, kInstances / instances.size());
  std::set<ModelIndex>& others = brain->others;
  for (std::size_t i = 0; i < at_once && !others.empty(); ++i) {
    auto next = others.upper_bound(brain->looked_at_last);
    if (next == others.end()) next = others.begin();
    const ModelIndex model = brain->looked_at_last = *next;
    others.erase(next);
    serve_line(model);
  }
}

// Whoever had more than an equal part may have less than that since somebody else has begun or has
// ended, anywhere.
void Scheduler::State::look_over_held_back() {
  constexpr std::size_t kLines = 32;  // less than a microsecond each
  const auto& keeping = brain->keeping;
  if (brain->shares_seen != brain->shares.changes()) {
    brain->shares_seen = brain->shares.changes();
    brain->to_look_over = keeping.size();
  }
  brain->to_look_over = std::min(brain->to_look_over, keeping.size());
  for (std::size_t i = 0; i < kLines && brain->to_look_over > 0; ++i, --brain->to_look_over) {
    auto next = keeping.upper_bound(brain->looked_over_last);
    if (next == keeping.end()) next = keeping.begin();
    const auto& [model, held] = *next;
    brain->looked_over_last = model;
    const bool still = std::ranges::all_of(held, [&](const WaitQueue::HeldBack& who) {
      return brain->shares.leaves_last_slot(who.tenant, who.band);
    });
    if (!still) brain->others.insert(model);
  }
}

void Scheduler::State::serve_line(ModelIndex model) {
  brain->others.erase(model);
  std::vector<WaitQueue::HeldBack> held = serve_all_possible(model);
  if (held.empty()) {
    brain->keeping.erase(model);
  } else {
    brain->keeping.insert_or_assign(model, std::move(held));
  }
}

// Who of the line leaves the last slot to others.
std::vector<WaitQueue::HeldBack> Scheduler::State::serve_all_possible(ModelIndex model) {
  // One that may not go where it failed does not stand in the way of those behind it; but few are
  // passed over, so that a long line costs no more than a short one.
  constexpr int kMostPassedOver = 8;
  int passed_over = 0;
  std::vector<WaitQueue::HeldBack> held;
  auto who = WaitQueue::Line::Who::kAll;
  WaitQueue::Line* line = brain->queue.line(model);
  while (line != nullptr && passed_over <= kMostPassedOver) {
    const WaitQueue::Waiting* next =
        line->next(brain->shares, who, static_cast<std::size_t>(passed_over), held);
    if (next == nullptr) return held;
    const bool above = brain->shares.leaves_last_slot(next->request.ask.tenant, next->band);
    Pick pick = picker.pick(instances, next->request, room, now,
                            {&brain->forecasts, model, above, &brain->queue});
    if (pick.waits) {
      if (above && !others_may_begin(next->request, model, pick)) return {};
      if (above) held.push_back({next->request.ask.tenant, next->band});
      if (above && who == WaitQueue::Line::Who::kAll && next->request.tried.empty()) {
        who = WaitQueue::Line::Who::kWithinShare;  // a slot may be kept for these
        passed_over = 0;
        continue;
      }
      if (next->request.tried.empty()) return held;
      ++passed_over;
      continue;
    }
    if (pick.backend) {
      const WaitQueue::Waiting* const suits = who_suits(*line, *next, *pick.backend);
      Pick other = suits == next ? Pick{}
                                 : picker.pick(instances, suits->request, room, now,
                                               {&brain->forecasts, model, above, &brain->queue});
      if (other.backend) {
        next = suits;
        pick = std::move(other);
      }
    }
    const WaitQueue::Waiting taken = brain->queue.take(*next);
    line = brain->queue.line(model);
    pick.why.waited_as = taken.position;
    if (pick.backend) {
      grant(taken.request, taken.attempt, std::move(pick));
    } else if (pick.crowded()) {
      wait_for_room(taken.request, taken.attempt, std::move(pick), taken.until);
    } else {
      refuse(refuse_listed(taken.request, std::move(pick.why)), taken.attempt);
    }
    brain->forecasts.release(model);
    brain->shares.left_queue(taken.request.ask.tenant, taken.request.ask.priority, now);
    // The line stands in another order now that its tenant has had more.
    passed_over = 0;
    held.clear();
  }
  return held;
}

// Whether a slot may be free for somebody else of the line, where none was for this one. Who may
// not go everywhere, or asks under another name, says nothing of others: then it may.
bool Scheduler::State::others_may_begin(const RequestArrived& request, ModelIndex model,
                                        const Pick& pick) const {
  if (!request.tried.empty() || request.ask.only) return true;
  return std::ranges::any_of(pick.why.candidates, [&](const Candidate& candidate) {
    return candidate.filtered != Filtered::kNot
               ? candidate.filtered == Filtered::kNoModel
               : brain->forecasts.has_free_slot(candidate.backend, model);
  });
}

// Of the first few of a tenant and a priority the one whose prompt is best read there. Reading what
// another has computed already keeps everybody in the line waiting; each who is passed over waits
// for one slot more, and not more often than a few times.
const WaitQueue::Waiting* Scheduler::State::who_suits(WaitQueue::Line& line,
                                                      const WaitQueue::Waiting& next,
                                                      BackendId backend) {
  constexpr std::size_t kLookedAt = 8;
  constexpr std::uint32_t kMostLetBy = 8;
  const Forecasts& forecasts = brain->forecasts;
  if (line.size() == 1 || next.let_by >= kMostLetBy || !next.request.tried.empty()) return &next;
  const double everybody = static_cast<double>(line.size());
  double least = forecasts.away_s(backend, next.model, next.request.ask.beginnings) * everybody;
  if (least <= 0) return &next;  // nothing of its prompt is read elsewhere
  std::array<WaitQueue::Waiting*, kLookedAt> few{};
  const std::span<WaitQueue::Waiting*> first = line.alike(next, few);
  if (first.front() != &next) return &next;
  const double turn = forecasts.service_s(backend, next.model);
  std::size_t best = 0;
  for (std::size_t i = 1; i < first.size() && first[i - 1]->let_by < kMostLetBy; ++i) {
    const RequestArrived& request = first[i]->request;
    if (!request.tried.empty()) continue;
    const double away = forecasts.away_s(backend, next.model, request.ask.beginnings);
    const double cost = away * everybody + static_cast<double>(i) * turn;
    if (cost >= least) continue;
    best = i;
    least = cost;
  }
  for (std::size_t i = 0; i < best; ++i) ++first[i]->let_by;
  return first[best];
}

void Scheduler::State::carry_out_plans() {
  Seating& seating = brain->forecasts.seating();
  if (seating.plans() == 0) return;
  for (const Instance& instance : instances) {
    const BackendId id = instance.spec.id;
    const auto& plan = seating.site(id).plan;
    if (!plan) continue;
    const bool wanted = plan->reason != LoadReason::kDemand || brain->queue.size(plan->model) > 0;
    if (!plan->ordered && !wanted) {
      call_off(id);
      continue;
    }
    for (;;) {
      const Seating::Step step = seating.next_step(id, brain->forecasts.ledger(), now);
      if (step.kind == Seating::Step::Kind::kNone) break;
      const ModelName& name = brain->forecasts.name(step.model);
      if (step.kind == Seating::Step::Kind::kUnload) {
        out->push_back(Unload{id, name, UnloadReason::kPlacement});
        continue;
      }
      room.memory().granted(id, name, room.need(instance, name));
      out->push_back(Load{id, name, step.reason});
      break;
    }
  }
}

Instant Scheduler::State::next_queue_change() const {
  Instant next = std::min(brain->queue.next_deadline(), brain->placer.next_due(brain->queue));
  const bool unfinished = !brain->others.empty() || brain->to_look_over > 0;
  if (!brain->changed.empty() || unfinished) next = now;
  if (brain->queue.size() > 0) next = std::min(next, brain->shares.next_change());
  const Seating& seating = brain->forecasts.seating();
  if (seating.plans() == 0) return next;
  for (const Instance& instance : instances) {
    const Instant due = seating.next_due(instance.spec.id);
    // What waits for somebody's end is heard of then.
    if (due > now) next = std::min(next, due);
  }
  return next;
}

// --- a notebook ---

namespace {

std::vector<std::string> learned_names(const std::vector<Instance>& instances) {
  std::vector<std::string> names;
  for (const Instance& instance : instances) names.push_back(learned_name(instance.spec));
  return names;
}

}  // namespace

std::optional<Learned> Scheduler::learned() const {
  if (!state_->brain) return std::nullopt;
  Learned learned;
  const std::vector<std::string> names = learned_names(state_->instances);
  state_->brain->forecasts.write_down(learned, names);
  for (const Instance& instance : state_->instances) {
    for (const auto& [model, bytes] : state_->room.memory().sizes(instance.spec.id)) {
      learned.sizes.push_back({names[instance.spec.id.value], model.text(), bytes});
    }
  }
  return learned;
}

void Scheduler::remember(const Learned& learned) {
  if (!state_->brain) return;
  const std::vector<std::string> names = learned_names(state_->instances);
  state_->brain->forecasts.remember(learned, names);
  for (const LearnedSize& each : learned.sizes) {
    const auto found = std::ranges::find(names, each.instance);
    if (found == names.end()) continue;
    const auto place = static_cast<std::uint32_t>(found - names.begin());
    state_->room.memory().remember(BackendId{place}, ModelName::canonical(each.model), each.bytes);
  }
}

}  // namespace drover::core
