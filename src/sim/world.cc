#include "sim/world.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/rng.h"

namespace drover::sim {
namespace {

constexpr Duration kProgressEvery = std::chrono::seconds(1);
// After the last first turn. A world that still has requests then has lost one.
constexpr Duration kPatience = std::chrono::hours(24 * 365);

}  // namespace

World::World(const Fleet& fleet, const Workload& workload, std::vector<Fault> faults)
    : fleet_(fleet),
      workload_(workload),
      faults_(std::move(faults)),
      jobs_(workload.jobs),
      down_until_(fleet.gpus.size()),
      records_(workload.jobs.size()),
      backend_version_(fleet.gpus.size()) {
  const std::uint32_t hosts = *std::ranges::max_element(fleet.hosts) + 1;
  for (std::uint32_t i = 0; i < hosts; ++i) hosts_.emplace_back(fleet_);
  host_version_.resize(hosts);
  for (const Fault& fault : faults_) {
    if (fault.requests.empty()) continue;
    if (more_jobs_.empty()) more_jobs_ = workload.jobs;
    more_jobs_.insert(more_jobs_.end(), fault.requests.begin(), fault.requests.end());
    to_.resize(to_.size() + fault.requests.size(), fault.instance);
  }
  if (!more_jobs_.empty()) jobs_ = more_jobs_;
  const auto strangers = static_cast<JobIndex>(workload.jobs.size());
  for (InstanceIndex i = 0; i < fleet.gpus.size(); ++i) {
    backends_.emplace_back(fleet_, jobs_, hosts_[fleet.hosts[i]], i, strangers);
  }
}

void World::run(Router& router) {
  router_ = &router;
  router_->begin(now_, orders_);
  const auto count = static_cast<std::uint32_t>(backends_.size());
  for (InstanceIndex i = 0; i < count; ++i) {
    plan(now_ + seconds_of(fleet_.poll_s * i / count), What::kPoll, i);
  }
  if (router_->follows_progress()) plan(now_ + kProgressEvery, What::kProgress, 0);
  for (std::uint32_t i = 0; i < faults_.size(); ++i) {
    plan(faults_[i].from, What::kFaultBegins, i);
    plan(faults_[i].until, What::kFaultEnds, i);
  }
  for (auto job = static_cast<JobIndex>(workload_.jobs.size()); job < jobs_.size(); ++job) {
    plan(jobs_[job].planned, What::kStranger, job);
  }
  obey();
  while (under_way_ > 0 || next_arrival_ < workload_.arrivals.size()) {
    // First turns are sorted already; the heap holds what is not.
    if (next_arrival_ < workload_.arrivals.size()) {
      const JobIndex job = workload_.arrivals[next_arrival_];
      if (workload_.jobs[job].planned <= events_.top().when) {
        now_ = workload_.jobs[job].planned;
        ++next_arrival_;
        ++under_way_;
        arrive(job);
        obey();
        continue;
      }
    }
    const Event event = events_.top();
    events_.pop();
    DROVER_ASSERT(event.when >= now_);
    now_ = event.when;
    DROVER_ASSERT(now_ - workload_.last_arrival < kPatience);
    happen(event);
    obey();
  }
}

void World::plan(Instant when, What what, std::uint32_t index, std::uint64_t version) {
  if (when == kNever) return;
  events_.push({std::max(when, now_), ++planned_, what, index, version});
}

void World::happen(const Event& event) {
  switch (event.what) {
    case What::kArrival:
      return arrive(event.index);
    case What::kBackend:
      if (event.version == backend_version_[event.index]) heed(event.index);
      return;
    case What::kHost:
      if (event.version != host_version_[event.index]) return;
      for (const InstanceIndex instance : hosts_[event.index].finished(now_)) {
        at(instance).read_done(now_);
        heed(instance);
      }
      plan(hosts_[event.index].next_due(), What::kHost, event.index, ++host_version_[event.index]);
      return;
    case What::kPoll:
      return poll(event.index);
    case What::kPollMissed:
      // Of one that is gone something else is known by now.
      if (!is_down(event.index)) router_->unanswered(event.index, now_, orders_);
      return;
    case What::kStranger:
      return come_directly(event.index);
    case What::kWake:
      if (event.version == wake_version_) router_->woken(now_, orders_);
      return;
    case What::kProgress:
      return progress();
    case What::kFaultBegins:
      return begin_fault(faults_[event.index]);
    case What::kFaultEnds:
      if (faults_[event.index].kind == Fault::Kind::kSlow) {
        at(faults_[event.index].instance).set_speed(1, now_);
        heed(faults_[event.index].instance);
      }
      return;
  }
}

// --- requests ---

void World::arrive(JobIndex job) {
  Record& record = records_[job];
  DROVER_ASSERT(record.arrived == kNever);
  record.arrived = now_;
  router_->arrived(job, now_, orders_);
}

void World::close(JobIndex job, Outcome outcome) {
  Record& record = records_[job];
  DROVER_ASSERT(record.outcome == Outcome::kOpen && record.arrived != kNever);
  record.outcome = outcome;
  record.ended = now_;
  --under_way_;
  const JobIndex next = workload_.jobs[job].next;
  if (next == kNoJob) return;
  ++under_way_;
  plan(now_ + workload_.jobs[next].gap, What::kArrival, next);
}

// --- orders ---

void World::obey() {
  // Orders cause notices, and notices cause orders.
  for (std::size_t i = 0; i < orders_.size(); ++i) obey(Order(orders_[i]));
  orders_.clear();
}

void World::obey(const Order& order) {
  switch (order.kind) {
    case Order::Kind::kSend:
      return send(order.job, order.instance);
    case Order::Kind::kRefuse:
      // Who was shown to an instance in vain has not been shed.
      return close(order.job, records_[order.job].broken ? Outcome::kFailed : Outcome::kRefused);
    case Order::Kind::kTakeBack:
      return take_back(order.job, order.instance);
    case Order::Kind::kLoad:
      if (is_down(order.instance)) {
        return router_->loaded(order.instance, order.model, false, now_, orders_);
      }
      at(order.instance).load(order.model, now_);
      return heed(order.instance);
    case Order::Kind::kUnload:
      if (is_down(order.instance)) return;
      at(order.instance).unload(order.model, now_);
      return heed(order.instance);
    case Order::Kind::kLook:
      return show(order.instance);
    case Order::Kind::kWakeAt:
      return plan(order.when, What::kWake, 0, ++wake_version_);
  }
}

void World::send(JobIndex job, InstanceIndex instance) {
  Record& record = records_[job];
  DROVER_ASSERT(record.outcome == Outcome::kOpen);
  DROVER_ASSERT(fleet_.fits(instance, workload_.jobs[job].model));
  record.sent = now_;
  record.instance = instance;
  record.is_there = true;
  ++record.attempts;
  if (is_down(instance)) return hear({Notice::Kind::kDied, instance, job});
  at(instance).submit(job, now_);
  heed(instance);
}

void World::take_back(JobIndex job, InstanceIndex instance) {
  // It may have come back by itself since the order was given.
  if (!records_[job].is_there || records_[job].instance != instance) return;
  at(instance).cancel(job, now_);
  heed(instance);
  if (!std::exchange(records_[job].is_there, false)) return;
  router_->ended(job, Ending::kTakenBack, {}, now_, orders_);
}

// --- what instances say ---

SimBackend& World::at(InstanceIndex instance) {
  backends_[instance].advance(now_);
  return backends_[instance];
}

void World::heed(InstanceIndex instance) {
  SimBackend& backend = at(instance);
  const std::uint32_t host = fleet_.hosts[instance];
  for (const Notice& notice : backend.take_notices()) hear(notice);
  plan(backend.next_due(), What::kBackend, instance, ++backend_version_[instance]);
  plan(hosts_[host].next_due(), What::kHost, host, ++host_version_[host]);
}

void World::hear(const Notice& notice) {
  if (notice.job == kNoJob) {
    const bool done = notice.kind == Notice::Kind::kLoaded;
    return router_->loaded(notice.instance, notice.model, done, now_, orders_);
  }
  if (is_stranger(notice.job)) return hear_of_stranger(notice);
  Record& record = records_[notice.job];
  DROVER_ASSERT(record.is_there);
  record.is_there = notice.kind == Notice::Kind::kFirstToken;
  switch (notice.kind) {
    case Notice::Kind::kFirstToken:
      record.first = now_;
      record.cached = notice.cached;
      return router_->first_token(notice.job, now_, orders_);
    case Notice::Kind::kDone:
      router_->ended(notice.job, Ending::kServed, {notice.cached, notice.durations}, now_, orders_);
      return close(notice.job, Outcome::kServed);
    case Notice::Kind::kBusy:
      return router_->ended(notice.job, Ending::kBusy, {}, now_, orders_);
    case Notice::Kind::kDied:
      if (record.first == kNever) {
        record.broken = true;
        return router_->ended(notice.job, Ending::kDied, {}, now_, orders_);
      }
      router_->ended(notice.job, Ending::kLost, {}, now_, orders_);
      return close(notice.job, Outcome::kFailed);
    case Notice::Kind::kFailed:
      record.broken = true;
      return router_->ended(notice.job, Ending::kFailed, {}, now_, orders_);
    case Notice::Kind::kLoaded:
    case Notice::Kind::kLoadFailed:
      return;  // of no request: told above
  }
}

// --- what happens by itself ---

void World::poll(InstanceIndex instance) {
  if (!is_down(instance) && loses_poll(instance)) {
    const Instant given_up = now_ + seconds_of(fleet_.poll_timeout_s);
    plan(given_up, What::kPollMissed, instance);
    return plan(std::max(given_up, now_ + seconds_of(fleet_.poll_s)), What::kPoll, instance);
  }
  plan(now_ + seconds_of(fleet_.poll_s), What::kPoll, instance);
  if (is_down(instance)) return router_->silent(instance, now_, orders_);
  show(instance);
}

// Of a look beside the polls nobody hears when it has no answer: what is missed is told by these.
void World::show(InstanceIndex instance) {
  if (is_down(instance) || loses_poll(instance)) return;
  std::vector<ModelIndex> loaded;
  for (const auto& runner : backends_[instance].runners()) {
    if (runner->ready()) loaded.push_back(runner->model);
  }
  router_->polled(instance, loaded, now_, orders_);
}

// By the time and not by the count of polls, or one router's questions would change another's luck.
bool World::loses_poll(InstanceIndex instance) const {
  const Fault* const fault = suffers(instance, Fault::Kind::kLostPolls);
  if (fault == nullptr) return false;
  const auto turn = static_cast<std::uint64_t>((now_ - fault->from) / seconds_of(fleet_.poll_s));
  return Rng(fault->seed * 1'000'003 + turn).unit() < fault->lost;
}

const Fault* World::suffers(InstanceIndex instance, Fault::Kind kind) const {
  const auto found = std::ranges::find_if(faults_, [&](const Fault& fault) {
    return fault.kind == kind && fault.instance == instance && fault.from <= now_ &&
           now_ < fault.until;
  });
  return found == faults_.end() ? nullptr : &*found;
}

void World::progress() {
  plan(now_ + kProgressEvery, What::kProgress, 0);
  for (InstanceIndex i = 0; i < backends_.size(); ++i) {
    for (const auto& runner : at(i).runners()) {
      for (const SimBackend::Running& running : runner->running) {
        if (!running.decoding || is_stranger(running.job)) continue;
        const double left = running.end - runner->written;
        const double written = workload_.jobs[running.job].output - std::max(0.0, left);
        router_->progressed(running.job, static_cast<std::uint64_t>(written), now_, orders_);
      }
    }
  }
}

void World::begin_fault(const Fault& fault) {
  SimBackend& backend = at(fault.instance);
  switch (fault.kind) {
    case Fault::Kind::kCrash:
      down_until_[fault.instance] = fault.until;
      backend.crash(now_);
      break;
    case Fault::Kind::kSlow:
      backend.set_speed(fault.speed, now_);
      break;
    case Fault::Kind::kOutOfMemory:
      backend.fail_loads_until(fault.until);
      break;
    case Fault::Kind::kLostPolls:
    case Fault::Kind::kStrangers:
      return;  // looked up when polled; each request comes by itself
  }
  heed(fault.instance);
}

// --- strangers ---

void World::come_directly(JobIndex stranger) {
  const InstanceIndex instance = to_[stranger - workload_.jobs.size()];
  DROVER_ASSERT(fleet_.fits(instance, jobs_[stranger].model));
  ++strangers_.sent;
  ++under_way_;
  if (is_down(instance)) return hear_of_stranger({Notice::Kind::kDied, instance, stranger});
  at(instance).submit(stranger, now_);
  heed(instance);
}

void World::hear_of_stranger(const Notice& notice) {
  if (notice.kind == Notice::Kind::kFirstToken) return;
  ++(notice.kind == Notice::Kind::kDone ? strangers_.served : strangers_.turned_away);
  --under_way_;
}

}  // namespace drover::sim
