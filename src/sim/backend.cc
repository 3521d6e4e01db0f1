#include "sim/backend.h"

#include <algorithm>

#include "base/check.h"

namespace drover::sim {
namespace {

// Events lie on whole nanoseconds, ends of work between them.
constexpr double kGrain = 2e-9;

using Runner = SimBackend::Runner;
using Running = SimBackend::Running;
using Waiting = SimBackend::Waiting;
using State = Runner::State;

auto prompt_in_work(Runner& runner) {
  return std::ranges::find(runner.running, false, &Running::decoding);
}

}  // namespace

SimBackend::SimBackend(const Fleet& fleet, std::span<const Job> jobs, Host& host,
                       InstanceIndex index, JobIndex strangers)
    : fleet_(fleet), jobs_(jobs), host_(host), index_(index), strangers_(strangers) {}

// --- what clients do ---

void SimBackend::submit(JobIndex job, Instant now) {
  const Job& what = jobs_[job];
  const std::uint32_t num_ctx =
      what.num_ctx == 0 ? fleet_.models[what.model].num_ctx : what.num_ctx;
  Runner* runner = runner_of(what.model);
  if (runner != nullptr && runner->ready() && runner->num_ctx == num_ctx) {
    attach(*runner, {job, what.model, num_ctx, now}, now);
  } else if (pending_.size() >= fleet_.max_queue) {
    notices_.push_back({Notice::Kind::kBusy, index_, job});
  } else {
    enter({job, what.model, num_ctx, now}, now);
  }
  retime();
}

void SimBackend::load(ModelIndex model, Instant now) {
  const Runner* runner = runner_of(model);
  if (runner != nullptr && runner->ready()) return said_loaded(model);
  enter({kNoJob, model, fleet_.models[model].num_ctx, now}, now);
  retime();
}

void SimBackend::unload(ModelIndex model, Instant now) {
  Runner* runner = runner_of(model);
  if (runner == nullptr || !runner->ready()) return;
  leave(*runner, now);
  retime();
}

void SimBackend::cancel(JobIndex job, Instant now) {
  for (Pending& pending : pending_) pending.gone |= pending.job == job;
  for (const auto& runner : runners_) {
    std::erase_if(runner->waiting, [&](const Waiting& each) { return each.job == job; });
    const auto slot = std::ranges::find(runner->running, job, &Running::job);
    if (slot == runner->running.end()) continue;
    runner->running.erase(slot);
    freed(*runner, now);
  }
  retime();
}

void SimBackend::said_loaded(ModelIndex model) {
  notices_.push_back({Notice::Kind::kLoaded, index_, kNoJob, 0, {}, model});
}

// --- the clerk ---

void SimBackend::enter(Pending pending, Instant now) {
  pending_.push_back(pending);
  work_off(now);
}

void SimBackend::work_off(Instant now) {
  while (!pending_.empty() && !loading_ && !making_room_) {
    const Pending head = pending_.front();
    Runner* runner = runner_of(head.model);
    if (head.gone) {
      pending_.pop_front();
    } else if (runner != nullptr && runner->ready() && runner->num_ctx == head.num_ctx) {
      pending_.pop_front();
      if (head.job != kNoJob) attach(*runner, head, now);
      if (head.job == kNoJob) said_loaded(head.model);
    } else if (runner != nullptr) {
      make_room(*runner, now);  // other options, or on its way out
    } else if (free_gb() >= fleet_.models[head.model].vram_gb() &&
               (!head.alone || runners_.empty())) {
      start_load(head, now);
    } else {
      make_room(*victim(), now);
    }
  }
}

void SimBackend::make_room(Runner& victim, Instant now) {
  making_room_ = true;
  if (victim.state != State::kUnloading) leave(victim, now);
}

void SimBackend::leave(Runner& runner, Instant now) {
  runner.leaving = true;
  if (runner.users() == 0) start_unload(runner, now);
}

// One that is going already is waited for. All keep_alives are equal here, so names decide.
Runner* SimBackend::victim() {
  const auto rank = [&](const Runner& runner) {
    const int urgency = runner.state == State::kUnloading ? 0 : runner.users() == 0 ? 1 : 2;
    return std::pair(urgency, std::string_view(fleet_.models[runner.model].name));
  };
  const auto chosen = std::ranges::min_element(
      runners_, {}, [&](const std::unique_ptr<Runner>& runner) { return rank(*runner); });
  DROVER_ASSERT(chosen != runners_.end());  // an empty GPU is large enough: routers see to it
  return chosen->get();
}

void SimBackend::start_load(const Pending& pending, Instant now) {
  loading_ = true;
  auto runner = std::make_unique<Runner>();
  const Model& model = fleet_.models[pending.model];
  runner->model = pending.model;
  runner->num_ctx = pending.num_ctx;
  runner->gb = model.vram_gb();
  runner->pace = fleet_.pace(index_, pending.model);
  runner->slots = model.slots;
  runner->prefixes = PrefixStore(fleet_.cache_tokens(pending.model));
  runner->for_stranger = is_stranger(pending.job);
  runner->fails = now < loads_fail_until_;
  if (runner->fails) {
    // Memory is asked for before the file is read.
    runner->state = State::kStarting;
    runner->changes = now + seconds_of(fleet_.init_s);
    ++totals_.failed_loads;
    runners_.push_back(std::move(runner));
    return;
  }
  if (host_.in_memory(pending.model)) {
    runner->state = State::kStarting;
    runner->changes = now + seconds_of(fleet_.init_s + model.file_gb / fleet_.memory_gb_s);
  } else {
    host_.begin(index_, model.file_gb, now);
  }
  host_.used(pending.model);
  if (runner->for_stranger) {
    ++totals_.stranger_loads;
  } else {
    ++totals_.loads;
    totals_.loaded_gb += model.file_gb;
  }
  runners_.push_back(std::move(runner));
}

void SimBackend::read_done(Instant now) {
  for (const auto& runner : runners_) {
    if (runner->state != State::kReading) continue;
    runner->state = State::kStarting;
    runner->changes = now + seconds_of(fleet_.init_s);
  }
}

void SimBackend::loaded(Runner& runner, Instant now) {
  runner.state = State::kReady;
  runner.changes = now + seconds_of(fleet_.keep_alive_s);
  loading_ = false;
  work_off(now);
}

// The runner is gone with this; fire() goes on with the line.
void SimBackend::load_failed(Runner& runner, Instant now) {
  runner.state = State::kUnloading;
  runner.changes = now;
  loading_ = false;
  Pending& head = pending_.front();
  if (!head.alone && !head.gone && runners_.size() > 1) {
    head.alone = true;
    for (const auto& other : runners_) {
      if (other->ready()) leave(*other, now);
    }
    return;
  }
  if (head.job == kNoJob) {
    notices_.push_back({Notice::Kind::kLoadFailed, index_, kNoJob, 0, {}, head.model});
  } else if (!head.gone) {
    notices_.push_back({Notice::Kind::kFailed, index_, head.job});
  }
  pending_.pop_front();
}

void SimBackend::start_unload(Runner& runner, Instant now) {
  runner.state = State::kUnloading;
  runner.changes = now + seconds_of(fleet_.unload_s);
  ++totals_.unloads;
}

// --- requests of a loaded model ---

void SimBackend::attach(Runner& runner, const Pending& pending, Instant now) {
  if (jobs_[pending.job].keep_alive) runner.leaving = false;
  runner.changes = kNever;
  runner.waiting.push_back({pending.job, pending.submitted, now});
  fill_slots(runner);
}

void SimBackend::fill_slots(Runner& runner) {
  while (runner.running.size() < runner.slots && !runner.waiting.empty()) {
    Running slot;
    slot.job = runner.waiting.front().job;
    slot.submitted = runner.waiting.front().submitted;
    slot.assigned = runner.waiting.front().assigned;
    runner.waiting.pop_front();
    const Job& job = jobs_[slot.job];
    slot.cached = runner.prefixes.cached(job);
    slot.prefill_left = runner.pace.prefill(job.prompt, slot.cached);
    slot.context = job.prompt;
    runner.running.push_back(slot);
  }
}

void SimBackend::freed(Runner& runner, Instant now) {
  fill_slots(runner);
  if (runner.users() > 0) return;
  if (runner.leaving) return start_unload(runner, now);
  runner.changes = now + seconds_of(fleet_.keep_alive_s);
}

// --- time ---

void SimBackend::advance(Instant now) {
  for (Instant next = next_due(); next <= now; next = next_due()) {
    flow(next);
    fire(next);
    retime();
  }
  flow(now);
}

void SimBackend::flow(Instant now) {
  const double passed = to_seconds(now - flowed_);
  flowed_ = now;
  bool busy = false;
  bool computes = false;
  bool moving = false;
  for (const auto& runner : runners_) {
    moving |= !runner->ready() && !runner->for_stranger;
    if (runner->running.empty()) continue;
    computes = true;
    const auto all = static_cast<double>(runner->running.size());
    const auto strangers = static_cast<double>(std::ranges::count_if(
        runner->running, [&](const Running& each) { return is_stranger(each.job); }));
    busy |= all > strangers;
    totals_.slot_s += passed * (all - strangers);
    totals_.stranger_slot_s += passed * strangers;
    runner->written += passed * runner->token_rate;
    const auto reading = prompt_in_work(*runner);
    if (reading != runner->running.end()) reading->prefill_left -= passed * runner->prefill_rate;
  }
  if (busy) totals_.busy_s += passed;
  if (moving) totals_.loading_s += passed;
  if (moving && !computes) totals_.idle_load_s += passed;
}

void SimBackend::fire(Instant now) {
  for (std::size_t i = 0; i < runners_.size(); ++i) {
    while (fire_one(*runners_[i], now)) {
    }
  }
  const auto gone = [&](const std::unique_ptr<Runner>& runner) {
    return runner->state == State::kUnloading && runner->changes <= now;
  };
  if (std::erase_if(runners_, gone) == 0) return;
  making_room_ = false;
  work_off(now);
}

bool SimBackend::fire_one(Runner& runner, Instant now) {
  if (runner.ready() && !runner.running.empty()) {
    return end_of_prompt(runner, now) || end_of_answer(runner, now);
  }
  if (runner.changes > now || runner.state == State::kUnloading) return false;
  if (runner.state == State::kStarting && runner.fails) {
    load_failed(runner, now);
  } else if (runner.state == State::kStarting) {
    loaded(runner, now);
  } else if (runner.ready()) {
    start_unload(runner, now);  // not used for all its keep_alive
  }
  return false;
}

bool SimBackend::end_of_prompt(Runner& runner, Instant now) {
  const auto slot = prompt_in_work(runner);
  if (slot == runner.running.end() || slot->prefill_left > kGrain) return false;
  slot->decoding = true;
  slot->first = now;
  const Job& job = jobs_[slot->job];
  // Half of the answer stands for it in the context, from the beginning to the end.
  slot->context = job.prompt + job.output / 2.0;
  slot->end = runner.written + job.output - 1;
  notices_.push_back({Notice::Kind::kFirstToken, index_, slot->job, slot->cached});
  if (job.output <= 1) finish(runner, static_cast<std::size_t>(slot - runner.running.begin()), now);
  retime();
  return true;
}

bool SimBackend::end_of_answer(Runner& runner, Instant now) {
  const double reached = runner.written + runner.token_rate * kGrain;
  const auto slot = std::ranges::find_if(runner.running, [&](const Running& running) {
    return running.decoding && running.end <= reached;
  });
  if (slot == runner.running.end()) return false;
  finish(runner, static_cast<std::size_t>(slot - runner.running.begin()), now);
  retime();
  return true;
}

void SimBackend::finish(Runner& runner, std::size_t slot, Instant now) {
  const Running ended = runner.running[slot];
  runner.running.erase(runner.running.begin() + static_cast<std::ptrdiff_t>(slot));
  runner.prefixes.remember(jobs_[ended.job]);
  const Durations durations{to_seconds(now - ended.submitted),
                            to_seconds(ended.assigned - ended.submitted),
                            to_seconds(ended.first - ended.reading), to_seconds(now - ended.first)};
  notices_.push_back({Notice::Kind::kDone, index_, ended.job, ended.cached, durations});
  freed(runner, now);
}

// What everybody's speed is, as long as nothing changes.
void SimBackend::retime() {
  double active = 0;
  for (const auto& runner : runners_) active += runner->running.empty() ? 0 : 1;
  for (const auto& runner : runners_) {
    if (runner->running.empty()) continue;
    double writing = 0;
    double context = 0;
    for (const Running& running : runner->running) {
      writing += running.decoding ? 1 : 0;
      context += running.decoding ? running.context : 0;
    }
    const auto prompt = prompt_in_work(*runner);
    const bool reading = prompt != runner->running.end();
    if (reading && prompt->reading == kNever) prompt->reading = flowed_;
    const double share = speed_ / active;
    const bool both = reading && writing > 0;
    runner->prefill_rate = reading ? share * (both ? fleet_.prefill_share : 1) : 0;
    runner->token_rate = writing == 0 ? 0
                                      : share * (both ? 1 - fleet_.prefill_share : 1) /
                                            runner->pace.step(writing, context);
  }
}

Instant SimBackend::due(const Runner& runner, Instant from) {
  if (runner.running.empty() || !runner.ready()) return runner.changes;
  double least = 1e9;
  bool first_prompt = true;
  for (const Running& running : runner.running) {
    if (running.decoding) {
      least = std::min(least, (running.end - runner.written) / runner.token_rate);
    } else if (first_prompt) {
      first_prompt = false;
      least = std::min(least, running.prefill_left / runner.prefill_rate);
    }
  }
  return from + seconds_of(std::max(0.0, least)) + Duration(least > kGrain ? 1 : 0);
}

Instant SimBackend::next_due() const {
  Instant next = kNever;
  for (const auto& runner : runners_) next = std::min(next, due(*runner, flowed_));
  return next;
}

// --- faults ---

void SimBackend::crash(Instant now) {
  const auto died = [&](JobIndex job) { notices_.push_back({Notice::Kind::kDied, index_, job}); };
  for (const Pending& pending : pending_) {
    if (pending.job != kNoJob && !pending.gone) died(pending.job);
    if (pending.job == kNoJob) {
      notices_.push_back({Notice::Kind::kLoadFailed, index_, kNoJob, 0, {}, pending.model});
    }
  }
  for (const auto& runner : runners_) {
    for (const Running& running : runner->running) died(running.job);
    for (const Waiting& waiting : runner->waiting) died(waiting.job);
  }
  host_.abort(index_, now);
  runners_.clear();
  pending_.clear();
  loading_ = making_room_ = false;
}

void SimBackend::set_speed(double factor, Instant now) {
  advance(now);
  speed_ = factor;
  retime();
}

// --- what can be seen ---

Runner* SimBackend::runner_of(ModelIndex model) {
  const auto found = std::ranges::find_if(
      runners_, [&](const std::unique_ptr<Runner>& runner) { return runner->model == model; });
  return found == runners_.end() ? nullptr : found->get();
}

const Runner* SimBackend::ready_runner(ModelIndex model) const {
  for (const auto& runner : runners_) {
    if (runner->model == model && runner->ready()) return runner.get();
  }
  return nullptr;
}

double SimBackend::free_gb() const {
  double free = fleet_.gpus[index_].memory_gb * 0.95;
  for (const auto& runner : runners_) free -= runner->gb;
  return free;
}

}  // namespace drover::sim
