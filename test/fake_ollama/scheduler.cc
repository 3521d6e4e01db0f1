#include "fake_ollama/scheduler.h"

#include <algorithm>

namespace drover::fake {

// A request in the pending queue; lives in the frame that waits. Leaves the queue when it goes.
struct Scheduler::Pending {
  Pending(Scheduler& owner, const Demand& wanted)
      : scheduler(owner), demand(wanted), done(owner.loop_) {}
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;
  ~Pending() {
    if (scheduler.current_ == this) scheduler.current_ = nullptr;
    std::erase(scheduler.pending_, this);
  }
  Scheduler& scheduler;
  const Demand& demand;
  net::Event done;
  Grant grant;
};

// A request in line for a slot; likewise.
struct Scheduler::SlotWait {
  SlotWait(Scheduler& owner, Runner& of) : runner(of), ready(owner.loop_) {
    runner.queue.push_back(this);
  }
  SlotWait(const SlotWait&) = delete;
  SlotWait& operator=(const SlotWait&) = delete;
  ~SlotWait() { std::erase(runner.queue, this); }
  Runner& runner;
  net::Event ready;
  bool granted = false;
};

Scheduler::Grant& Scheduler::Grant::operator=(Grant&& other) noexcept {
  if (this != &other) {
    give_back();
    scheduler_ = other.scheduler_;
    runner_ = std::exchange(other.runner_, nullptr);
    slot_ = std::exchange(other.slot_, false);
  }
  return *this;
}

void Scheduler::Grant::give_back() {
  if (runner_ == nullptr) return;
  if (std::exchange(slot_, false)) scheduler_->free_slot(*runner_);
  scheduler_->leave(*std::exchange(runner_, nullptr));
}

net::Task<Scheduler::Outcome> Scheduler::acquire(Demand demand, net::Cancel& gone) {
  drop_expired();
  if (gone.triggered()) co_return Outcome{};
  Runner* loaded = find(demand.model.digest);
  if (loaded != nullptr && loaded->load_options == demand.load_options) {
    hold(*loaded, demand);
    co_return Outcome{Answer::kGranted, Grant(*this, *loaded)};
  }

  // The one that is being handled has left the queue and does not count.
  const std::size_t room = static_cast<std::size_t>(limits_.max_queue) + (handling_ ? 0 : 1);
  if (pending_.size() >= room) co_return Outcome{Answer::kBusy, {}};
  Pending self(*this, demand);
  pending_.push_back(&self);
  if (!handling_) {
    handling_ = true;
    loop_.spawn(handle_pending(shared_from_this()));
  }
  const net::WaitResult woken = co_await self.done.wait(kNever, &gone);
  if (woken == net::WaitResult::kCancelled) {
    const bool loads = current_ == &self && !loading_.empty();
    if (current_ == &self) load_cancel_.trigger(net::CancelReason::kClientGone);
    co_return Outcome{Answer::kGone, {}, loads};
  }
  co_return Outcome{Answer::kGranted, std::move(self.grant)};
}

net::Task<bool> Scheduler::take_slot(Grant& grant, net::Cancel& gone) {
  Runner& runner = grant.runner();
  if (runner.in_use >= runner.slots || !runner.queue.empty()) {
    SlotWait self(*this, runner);
    const net::WaitResult woken = co_await self.ready.wait(kNever, &gone);
    grant.slot_ = self.granted;
    if (woken == net::WaitResult::kCancelled) co_return false;
  } else {
    ++runner.in_use;
    grant.slot_ = true;
  }
  most_running_ = std::max(most_running_, running());
  co_return true;
}

// The pending queue, one at a time. Ends with the queue; acquire() starts it again.
net::Task<void> Scheduler::handle_pending(std::shared_ptr<Scheduler> self) {
  while (!self->pending_.empty()) {
    self->current_ = self->pending_.front();
    self->pending_.pop_front();
    self->load_cancel_.reset();
    const Demand demand = self->current_->demand;
    const bool ok = co_await self->make_loaded(demand);
    Pending* waiting = std::exchange(self->current_, nullptr);
    if (!ok || waiting == nullptr) continue;  // it left; the next one begins from zero
    Runner& runner = *self->find(demand.model.digest);
    self->hold(runner, demand);
    waiting->grant = Grant(*self, runner);
    waiting->done.set();
  }
  self->handling_ = false;
}

// True when a runner for `demand` stands; false when its client left meanwhile.
net::Task<bool> Scheduler::make_loaded(Demand demand) {
  while (current_ != nullptr) {
    drop_expired();
    const Runner* same = find(demand.model.digest);
    if (same != nullptr && same->load_options == demand.load_options) co_return true;
    if (!make_room(demand)) {
      net::Event idle(loop_);
      changed_ = &idle;
      (void)co_await idle.wait(kNever, &load_cancel_);
      changed_ = nullptr;
      continue;
    }
    ++loads_;
    loading_ = demand.model.name;
    const net::WaitResult slept = co_await loop_.sleep_for(limits_.load_time(), &load_cancel_);
    loading_.clear();
    if (slept == net::WaitResult::kCancelled || current_ == nullptr) {
      ++thrown_away_;
      co_return false;
    }
    add_runner(demand);
    co_return true;
  }
  co_return false;
}

// True when the model can be loaded now. Otherwise the one to go is marked and must become idle.
bool Scheduler::make_room(const Demand& demand) {
  for (;;) {
    Runner* victim = find(demand.model.digest);  // other load options: it has to go first
    if (victim == nullptr) {
      const bool fits = demand.model.bytes <= free_vram() &&
                        runners_.size() < static_cast<std::size_t>(limits_.max_loaded);
      // Alone it always starts; what does not fit runs on the CPU.
      if (fits || runners_.empty()) return true;
      const auto order = [](const Runner& r) {
        const Duration stays = r.keep_alive < Duration::zero() ? Duration::max() : r.keep_alive;
        return std::pair(r.users > 0, stays);
      };
      victim = std::min_element(runners_.begin(), runners_.end(), [&](auto& a, auto& b) {
                 return order(*a) < order(*b);
               })->get();
    }
    if (victim->users > 0) {
      victim->doomed = true;
      return false;
    }
    ++evictions_;
    drop(*victim);
  }
}

void Scheduler::add_runner(const Demand& demand) {
  auto runner = std::make_unique<Runner>();
  runner->model = demand.model;
  runner->load_options = demand.load_options;
  runner->context_length = demand.context_length;
  runner->vram = std::min(demand.model.bytes, free_vram());
  runner->keep_alive = limits_.keep_alive;
  runner->slots = demand.model.embeds ? 1 : limits_.parallel;
  if (limits_.runner_processes) runner->process = RunnerProcess::start(runner->vram);
  runners_.push_back(std::move(runner));
}

void Scheduler::unload(const std::string& digest) {
  drop_expired();
  Runner* runner = find(digest);
  if (runner == nullptr) return;
  runner->keep_alive = Duration::zero();
  if (runner->users == 0) drop(*runner);
}

void Scheduler::unload_all() {
  std::vector<std::string> digests;
  for (const auto& runner : runners_) digests.push_back(runner->model.digest);
  for (const std::string& digest : digests) unload(digest);
}

std::vector<const Scheduler::Runner*> Scheduler::loaded() {
  drop_expired();
  std::vector<const Runner*> list;
  for (const auto& runner : runners_) list.push_back(runner.get());
  std::stable_sort(list.begin(), list.end(), [this](const Runner* a, const Runner* b) {
    return expiry_of(*a) > expiry_of(*b);
  });
  return list;
}

Instant Scheduler::expiry_of(const Runner& runner) const {
  if (runner.keep_alive < Duration::zero()) return kNever;
  return runner.users > 0 ? loop_.now() + runner.keep_alive : runner.expires_at;
}

std::uint32_t Scheduler::running() const {
  int sum = 0;
  for (const auto& runner : runners_) sum += runner->in_use;
  return static_cast<std::uint32_t>(sum);
}

std::uint32_t Scheduler::waiting() const {
  std::size_t sum = pending_.size() + (current_ != nullptr ? 1 : 0);
  for (const auto& runner : runners_) sum += runner->queue.size();
  return static_cast<std::uint32_t>(sum);
}

Scheduler::Runner* Scheduler::find(const std::string& digest) {
  for (const auto& runner : runners_) {
    // One whose process was killed is only there for those who still hold it.
    if (runner->model.digest == digest && runner->alive()) return runner.get();
  }
  return nullptr;
}

void Scheduler::hold(Runner& runner, const Demand& demand) {
  ++runner.users;
  if (demand.keep_alive) runner.keep_alive = *demand.keep_alive;  // the last writer wins
}

void Scheduler::leave(Runner& runner) {
  if (--runner.users > 0) return;
  if (runner.doomed || !runner.alive() || runner.keep_alive == Duration::zero()) {
    drop(runner);
    return;
  }
  const bool stays = runner.keep_alive < Duration::zero();
  runner.expires_at = stays ? kNever : loop_.now() + runner.keep_alive;
  if (changed_ != nullptr) changed_->set();
}

void Scheduler::free_slot(Runner& runner) {
  --runner.in_use;
  if (runner.queue.empty() || runner.in_use >= runner.slots) return;
  SlotWait* next = runner.queue.front();
  runner.queue.pop_front();
  ++runner.in_use;
  next->granted = true;
  next->ready.set();
}

void Scheduler::drop(Runner& runner) {
  std::erase_if(runners_, [&](const auto& r) { return r.get() == &runner; });
  if (changed_ != nullptr) changed_->set();
}

void Scheduler::drop_expired() {
  std::erase_if(runners_, [&](const auto& r) {
    return r->users == 0 && (r->expires_at <= loop_.now() || !r->alive());
  });
}

std::uint64_t Scheduler::free_vram() const {
  std::uint64_t used = 0;
  for (const auto& runner : runners_) used += runner->vram;
  return used < limits_.vram_bytes ? limits_.vram_bytes - used : 0;
}

}  // namespace drover::fake
