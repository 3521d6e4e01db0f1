// The scheduler's care for instances: restarts, hangs, silent fallbacks to the CPU. What is judged
// lives in restart.h, hang_watch.h and fallback_watch.h; here it is carried out.

#include <algorithm>

#include "core/scheduler_state.h"

namespace drover::core {

// --- what the keeper sees ---

void Scheduler::State::on(const GpusObserved& observed) {
  gpus = observed.report;
  if (!gpus) return;
  room.memory().devices(*gpus);
  for (Instance& instance : instances) instance.hang.devices(*gpus, now);
}

void Scheduler::State::on(const ProcessObserved& observed) {
  Instance& instance = instance_of(observed.backend);
  const InstanceProcess& process = observed.process;
  const bool another = instance.process && process.starts > instance.process->starts;
  const bool ran = instance.process && instance.process->state == ProcessState::kRunning;
  // The keeper has heard it answer: ask now and not at the next check.
  if (!ran && process.state == ProcessState::kRunning) misses.want_refresh();
  instance.process = process;
  instance.hang.process(process, now);
  if (another) {
    instance.hang.calm(now);
    instance.fallback.started_anew();
    room.memory().emptied(instance.spec.id);
    forget_residency(instance.spec.id);
  }
  if (!instance.restart.saw(process)) return;
  const bool wanted = instance.restart.cause() == RestartCause::kOperator;
  change_health(instance, [&] {
    instance.health.started_anew(wanted ? Health::Trust::kFull : Health::Trust::kOneVisitor, now);
  });
}

// --- restarts ---

void Scheduler::State::on(const RestartRequested& requested) {
  Instance& instance = instance_of(requested.backend);
  if (!instance.spec.supervised) return;  // nobody could carry it out
  begin_restart(instance, requested.cause, requested.reason,
                requested.grace.value_or(settings.drain_grace));
}

void Scheduler::State::begin_restart(Instance& instance, RestartCause cause, std::string reason,
                                     Duration grace) {
  bool begun = false;
  change_health(instance,
                [&] { begun = instance.restart.begin(cause, std::move(reason), now + grace); });
  if (!begun) return;
  take_back_leases(instance, Stay::kWhereNobodyElseServes);
  advance_restart(instance);
}

void Scheduler::State::advance_restart(Instance& instance) {
  Restart& restart = instance.restart;
  if (!restart.due(instance.in_flight, now)) return;
  restart.ordered(instance.process ? instance.process->starts : 0, now + settings.restart_patience);
  out->push_back(RestartInstance{instance.spec.id, restart.cause(), restart.reason()});
}

// --- time ---

namespace {

HangWatch::Outlook outlook(const Instance& instance) {
  const bool hung = instance.health.cause() == DownCause::kHung && !instance.restart.under_way();
  return hung ? HangWatch::Outlook::kHung : HangWatch::Outlook::kServing;
}

}  // namespace

Instant Scheduler::State::next_care(const Instance& instance) const {
  return std::min(instance.restart.next_change(), instance.hang.next_look(outlook(instance)));
}

void Scheduler::State::look_after(Instance& instance) {
  advance_restart(instance);
  change_health(instance, [&] { instance.restart.time_passed(now); });
  look_for_a_hang(instance);
}

// --- hangs ---

void Scheduler::State::look_for_a_hang(Instance& instance) {
  if (instance.hang.next_look(outlook(instance)) > now) return;
  if (outlook(instance) == HangWatch::Outlook::kHung) {
    return send_canary(instance, instance.hang.look_again(now));
  }
  const HealthState state = instance.health.state();
  const bool serves = state == HealthState::kUp || state == HealthState::kProbation;
  const bool ordered_away = instance.restart.under_way() && instance.in_flight == 0;
  if (!serves || ordered_away) return instance.hang.look_later(now);
  const auto listed = [&](const ModelName& model) { return instance.loaded_entry(model); };
  send_canary(instance, instance.hang.look(listed, now));
}

void Scheduler::State::send_canary(Instance& instance, const std::optional<Suspicion>& suspicion) {
  if (!suspicion) return;
  out->push_back(Canary{instance.spec.id, suspicion->model, suspicion->num_ctx});
}

void Scheduler::State::on(const CanaryDone& done) {
  Instance& instance = instance_of(done.backend);
  if (done.answered) change_health(instance, [&] { instance.health.canary_served(now); });
  const auto verdict = instance.hang.canary_done(done.answered, done.detail, now);
  if (!verdict) return;
  // One that is down for whatever reason is not put out a second time; but if the first order to
  // restart it came to nothing, there is another one.
  if (instance.health.state() != HealthState::kDown) return declare_hung(instance, *verdict);
  const bool still = instance.health.cause() == DownCause::kHung && instance.spec.supervised;
  if (still) begin_restart(instance, RestartCause::kHang, *verdict, {});
}

void Scheduler::State::declare_hung(Instance& instance, const std::string& reason) {
  change_health(instance, [&] { instance.health.hung(reason, now); });
  out->push_back(Incident{instance.spec.id, Incident::Kind::kHang, reason});
  // What has content is lost with the process: nothing else frees a runner that does not listen.
  if (instance.spec.supervised) begin_restart(instance, RestartCause::kHang, reason, {});
}

// --- fallbacks to the CPU ---

void Scheduler::State::look_for_a_fallback(Instance& instance) {
  if (!instance.residency) return;  // this very look made it another instance
  FallbackWatch::Surroundings around;
  for (const Instance& other : instances) {
    if (other.spec.id == instance.spec.id) continue;
    const bool shares = room.memory().shares(instance.spec.id, other.spec.id);
    if (shares && room.memory().held(other.spec.id) > 0) around.alone = false;
    if (!other.residency) continue;
    for (const LoadedModel& model : *other.residency) {
      const bool whole = model.vram_bytes > 0 && model.vram_bytes >= model.bytes;
      if (whole) around.on_gpu_elsewhere.push_back(model.name);
    }
  }
  fell_back(instance, instance.fallback.looked(*instance.residency, around, now));
}

// What is under way is slow and goes on; a supervised instance is restarted behind the last of it.
void Scheduler::State::fell_back(Instance& instance, const std::optional<Fallback>& fallback) {
  if (!fallback) return;
  const std::string reason = "fell back to the CPU: " + fallback->detail;
  out->push_back(Incident{instance.spec.id, Incident::Kind::kCpuFallback, reason});
  out->push_back(Unload{instance.spec.id, fallback->model, UnloadReason::kCpuFallback});
  if (instance.spec.supervised) {
    return begin_restart(instance, RestartCause::kCpuFallback, reason, settings.drain_grace);
  }
  change_health(instance, [&] { instance.health.put_out(reason, now); });
}

}  // namespace drover::core
