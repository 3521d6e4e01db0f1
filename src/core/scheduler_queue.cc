// The scheduler's waiting room for slots, and the loads that are planned for those who wait. The
// rules are in wait_queue.h, forecasts.h, placer.h and seating.h; here they meet the ledger of
// leases and the effects.

#include <algorithm>

#include "core/scheduler_state.h"

namespace drover::core {

Prices Scheduler::State::prices_for(const RequestArrived& request) {
  if (!brain) return {};
  const auto model = brain->forecasts.model_of(instances, request.ask.model);
  return model ? Prices{&brain->forecasts, *model} : Prices{};
}

// --- what happens ---

void Scheduler::State::told_of_grant(const Instance& instance, LeaseId lease,
                                     const RequestArrived& request, const Pick& pick) {
  if (!brain) return;
  const Prices prices = pick.model ? Prices{&brain->forecasts, *pick.model} : prices_for(request);
  if (prices.forecasts == nullptr) return;
  Forecasts& forecasts = brain->forecasts;
  const Ledger::Site& site = forecasts.ledger().site(instance.spec.id);
  const bool idle = site.open.empty();
  forecasts.arrived(prices.model, now);
  if (!idle && forecasts.seating().site(instance.spec.id).known) {
    brain->placer.consider_copy(fleet_for_placer(), prices.model, instance.spec.id,
                                request.ask.body_bytes);
  }
  forecasts.granted(instance, prices.model, lease, request.ask, pick.first_s, now);
}

void Scheduler::State::told_of_end(const OpenLease& lease, const LeaseSettled& settled) {
  if (!brain) return;
  const auto model = brain->forecasts.ended(lease.backend, settled, now);
  if (model) brain->changed.push_back(*model);
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

void Scheduler::State::on(const LoadDone& done) {
  if (!brain) return;
  const Instance& instance = instance_of(done.backend);
  const auto model = brain->forecasts.model_of(instances, done.model);
  if (room.memory().holds(done.backend, done.model)) {
    room_changed |= room.memory().ended(done.backend, done.model);
  }
  if (!model) return;
  brain->forecasts.load_done(instance.spec.id, *model, done.loaded, now);
  brain->placer.place_became_free();
  brain->changed.push_back(*model);
}

// --- waiting ---

void Scheduler::State::wait_for_slot(const RequestArrived& request, Attempt attempt, Pick pick,
                                     ModelIndex model) {
  WaitQueue& queue = brain->queue;
  const std::uint64_t bytes = queue.bytes() + request.ask.body_bytes;
  if (queue.size() >= settings.max_queued || bytes > settings.max_queued_bytes) {
    const double wait = brain->forecasts.wait_s(model, queue.size(model), now);
    return refuse(refuse_queued(situation(request), std::move(pick.why), QueueEnd::kFull,
                                std::chrono::duration_cast<Duration>(
                                    std::chrono::duration<double>(std::min(wait, 1e6)))),
                  attempt);
  }
  brain->forecasts.hold(model);
  queue.add({request, attempt, model, now, now + settings.queue_wait});
}

// --- serving ---

// After every event: who can begin begins, oldest first; then loads are planned for the rest.
void Scheduler::State::serve_queue() {
  if (!brain) return;
  WaitQueue& queue = brain->queue;
  while (auto expired = queue.take_expired(now)) {
    brain->forecasts.release(expired->model);
    const double wait = brain->forecasts.wait_s(expired->model, queue.size(expired->model), now);
    Pick pick = picker.pick(instances, expired->request, room, now, prices_for(expired->request));
    refuse(refuse_queued(situation(expired->request), std::move(pick.why), QueueEnd::kWaitOver,
                         std::chrono::duration_cast<Duration>(
                             std::chrono::duration<double>(std::min(wait, 1e6)))),
           expired->attempt);
  }
  if (brain->all_changed) {
    brain->changed.clear();
    for (const auto& [model, line] : queue.lines()) brain->changed.push_back(model);
    brain->all_changed = false;
  }
  // Serving a line can change others, when a refusal frees memory, say: those are for the next
  // event.
  for (const ModelIndex model : std::exchange(brain->changed, {})) serve_line(model);
  brain->placer.consider_waiting(fleet_for_placer());
  carry_out_plans();
}

void Scheduler::State::serve_line(ModelIndex model) {
  // One that may not go where it failed does not stand in the way of those behind it; but few are
  // passed over, so that a long line costs no more than a short one.
  constexpr int kMostPassedOver = 8;
  int passed_over = 0;
  const WaitQueue::Line* line = brain->queue.line(model);
  while (line != nullptr && passed_over <= kMostPassedOver) {
    if (static_cast<std::size_t>(passed_over) >= line->size()) return;
    const WaitQueue::Waiting& next = *std::next(line->begin(), passed_over);
    Pick pick = picker.pick(instances, next.request, room, now, {&brain->forecasts, model});
    if (pick.waits) {
      if (next.request.tried.empty()) return;
      ++passed_over;
      continue;
    }
    const WaitQueue::Waiting taken = brain->queue.take(next);
    line = brain->queue.line(model);
    pick.why.waited_as = taken.position;
    if (pick.backend) {
      grant(taken.request, taken.attempt, std::move(pick));
    } else if (pick.crowded()) {
      wait_for_room(taken.request, taken.attempt, std::move(pick));
    } else {
      refuse(refuse_listed(taken.request, std::move(pick.why)), taken.attempt);
    }
    brain->forecasts.release(model);
  }
}

void Scheduler::State::carry_out_plans() {
  Seating& seating = brain->forecasts.seating();
  if (seating.plans() == 0) return;
  for (const Instance& instance : instances) {
    const BackendId id = instance.spec.id;
    const auto& plan = seating.site(id).plan;
    if (!plan) continue;
    const bool wanted = plan->reason == LoadReason::kCopy || brain->queue.size(plan->model) > 0;
    if (!plan->ordered && !wanted) {
      brain->changed.insert(brain->changed.end(), plan->leaving.begin(), plan->leaving.end());
      seating.give_up(id, now);
      brain->placer.place_became_free();
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
  if (!brain->changed.empty()) next = now;
  const Seating& seating = brain->forecasts.seating();
  if (seating.plans() == 0) return next;
  for (const Instance& instance : instances) {
    const Instant due = seating.next_due(instance.spec.id);
    // What waits for somebody's end is heard of then.
    if (due > now) next = std::min(next, due);
  }
  return next;
}

}  // namespace drover::core
