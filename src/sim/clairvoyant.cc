#include "sim/clairvoyant.h"

#include <algorithm>
#include <cmath>

namespace drover::sim {
namespace {

constexpr double kPatience = 5;  // seconds to the first token that count as good
constexpr double kWritingWeight = 0.2;
constexpr double kHorizon = 90;  // how far ahead the value of a loaded model is counted
constexpr Duration kLook = std::chrono::milliseconds(100);  // at loads, which say nothing
constexpr double kSoon = 10;    // who comes within that time counts as waiting for a replica
constexpr double kWorthIt = 5;  // work in line over cost, before a second replica is loaded

using Runner = SimBackend::Runner;

}  // namespace

Clairvoyant::Clairvoyant(World& world)
    : world_(world),
      fleet_(world.fleet()),
      workload_(world.workload()),
      sites_(fleet_.gpus.size()),
      waiting_(fleet_.models.size()),
      future_(fleet_.models.size()),
      mean_work_(fleet_.models.size()),
      mean_prompt_(fleet_.models.size()) {
  for (const Job& job : workload_.jobs) {
    future_[job.model].push_back(job.planned);
    mean_work_[job.model] += job.output;
    mean_prompt_[job.model] += job.prompt - job.history;
  }
  for (ModelIndex m = 0; m < fleet_.models.size(); ++m) {
    const double count = std::max<double>(1, static_cast<double>(future_[m].size()));
    mean_work_[m] /= count;
    mean_prompt_[m] /= count;
    std::ranges::sort(future_[m]);
  }
  for (Site& site : sites_) site.users.resize(fleet_.models.size());
}

// --- what it knows ---

double Clairvoyant::coming(ModelIndex model, Instant now, double seconds) const {
  const auto& all = future_[model];
  const auto from = std::ranges::upper_bound(all, now);
  const auto to = std::ranges::upper_bound(all, now + seconds_of(seconds));
  return static_cast<double>(to - from);
}

double Clairvoyant::work_s(JobIndex job, InstanceIndex instance) const {
  const Job& what = workload_.jobs[job];
  const Pace pace = fleet_.pace(instance, what.model);
  return pace.prefill(what.prompt, 0) + what.output * pace.step(1, what.prompt);
}

bool Clairvoyant::has_replica(ModelIndex model, InstanceIndex instance) const {
  if (sites_[instance].next == model) return true;
  const Runner* runner = world_.backend(instance).ready_runner(model);
  return runner != nullptr && !runner->leaving;
}

// Of the GPU's time in the near future, the part that what it holds will take.
double Clairvoyant::demand_on(InstanceIndex instance, Instant now) {
  double sum = 0;
  for (ModelIndex m = 0; m < fleet_.models.size(); ++m) {
    if (!has_replica(m, instance)) continue;
    double replicas = 0;
    for (InstanceIndex i = 0; i < sites_.size(); ++i) replicas += has_replica(m, i) ? 1 : 0;
    const Pace pace = fleet_.pace(instance, m);
    const double each =
        pace.prefill(mean_prompt_[m], 0) + mean_work_[m] * pace.step(2, mean_prompt_[m]) / 2;
    sum += coming(m, now, kHorizon) * each / replicas / kHorizon;
  }
  return sum;
}

// --- the beginning ---

// Who sits where before the first request comes.
class Clairvoyant::Seating {
 public:
  explicit Seating(Clairvoyant& owner)
      : owner_(owner), fleet_(owner.fleet_), busy_(fleet_.gpus.size()) {
    seconds_ = to_seconds(owner.workload_.last_arrival.time_since_epoch()) + 1;
    replicas_.resize(fleet_.models.size());
    for (const GpuKind& gpu : fleet_.gpus) free_.push_back(gpu.memory_gb * 0.95);
  }

  double replicas(ModelIndex model) const { return replicas_[model]; }

  // Where the GPU has the least to do with it, if that is less than `at_most`.
  void put(ModelIndex model, double at_most) {
    std::optional<InstanceIndex> best;
    double least = at_most;
    for (InstanceIndex i = 0; i < free_.size(); ++i) {
      if (sits(model, i) || free_[i] < fleet_.models[model].vram_gb()) continue;
      const double busy = busy_[i] + work(model, i) / (replicas_[model] + 1);
      if (busy >= least) continue;
      least = busy;
      best = i;
    }
    if (!best) return;
    const double before = replicas_[model]++;
    for (InstanceIndex i = 0; i < free_.size(); ++i) {
      if (sits(model, i)) busy_[i] -= work(model, i) / before / replicas_[model];
    }
    busy_[*best] += work(model, *best) / replicas_[model];
    free_[*best] -= fleet_.models[model].vram_gb();
    owner_.sites_[*best].plan.push_back(model);
  }

 private:
  bool sits(ModelIndex model, InstanceIndex i) const {
    return std::ranges::count(owner_.sites_[i].plan, model) > 0;
  }
  // Of the GPU's time, the part that all requests for the model would take there, two at a time.
  double work(ModelIndex model, InstanceIndex i) const {
    const Pace pace = fleet_.pace(i, model);
    const double each = pace.prefill(owner_.mean_prompt_[model], 0) +
                        owner_.mean_work_[model] * pace.step(2, 1000) / 2;
    return static_cast<double>(owner_.future_[model].size()) / seconds_ * each;
  }

  Clairvoyant& owner_;
  const Fleet& fleet_;
  double seconds_ = 1;
  std::vector<double> free_;
  std::vector<double> busy_;
  std::vector<double> replicas_;
};

// --- events ---

// Before anybody comes, every model gets one place, the large ones first, because they have the
// fewest, and where the least is asked; then the busiest get further ones while there is memory.
void Clairvoyant::begin(Instant now, Orders& orders) {
  std::vector<ModelIndex> order(fleet_.models.size());
  for (ModelIndex m = 0; m < order.size(); ++m) order[m] = m;
  std::ranges::stable_sort(order, std::greater(), [&](ModelIndex m) {
    return future_[m].empty() ? 0 : fleet_.models[m].vram_gb();
  });
  Seating seating(*this);
  for (const ModelIndex m : order) seating.put(m, 1e300);
  for (int round = 0; round < 3; ++round) {
    std::ranges::stable_sort(order, std::greater(), [&](ModelIndex m) {
      return static_cast<double>(future_[m].size()) * mean_work_[m] * fleet_.models[m].file_gb /
             std::max(1.0, seating.replicas(m));
    });
    for (const ModelIndex m : order) seating.put(m, 0.9);
  }
  for (Site& site : sites_) {
    std::ranges::stable_sort(site.plan, std::greater(),
                             [&](ModelIndex m) { return future_[m].size(); });
  }
  decide(now, orders);
}

void Clairvoyant::arrived(JobIndex job, Instant now, Orders& orders) {
  waiting_[workload_.jobs[job].model].push_back(job);
  decide(now, orders);
}

void Clairvoyant::ended(JobIndex job, Ending ending, const Served&, Instant now, Orders& orders) {
  const ModelIndex model = workload_.jobs[job].model;
  --sites_[world_.records()[job].instance].users[model];
  if (ending != Ending::kServed && ending != Ending::kLost) waiting_[model].push_front(job);
  decide(now, orders);
}

void Clairvoyant::decide(Instant now, Orders& orders) {
  finish_loads(orders);
  for (ModelIndex m = 0; m < waiting_.size(); ++m) dispatch(m, now, orders);
  place(now, orders);
  const bool loads = std::ranges::any_of(
      sites_, [](const Site& site) { return site.next.has_value() || !site.plan.empty(); });
  if (loads) orders.push_back({Order::Kind::kWakeAt, kNoJob, 0, 0, now + kLook});
}

// --- slots ---

void Clairvoyant::dispatch(ModelIndex model, Instant now, Orders& orders) {
  std::deque<JobIndex>& waiting = waiting_[model];
  while (!waiting.empty()) {
    const std::size_t place = most_pressing(model, now);
    const JobIndex job = waiting[place];
    const std::optional<InstanceIndex> instance = best_slot(job);
    if (!instance) return;
    waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(place));
    ++sites_[*instance].users[model];
    orders.push_back({Order::Kind::kSend, job, *instance});
  }
}

// In order of arrival; but where the first is too late already, one goes before it that would be
// too late next.
std::size_t Clairvoyant::most_pressing(ModelIndex model, Instant now) const {
  const std::deque<JobIndex>& waiting = waiting_[model];
  const auto waited = [&](JobIndex job) { return to_seconds(now - world_.records()[job].arrived); };
  if (waited(waiting.front()) < kPatience) return 0;
  for (std::size_t i = 1; i < waiting.size(); ++i) {
    if (waited(waiting[i]) < kPatience * 0.95) return waited(waiting[i]) > 1 ? i : 0;
  }
  return 0;
}

double Clairvoyant::strangers_at(const SimBackend::Runner& runner) const {
  const auto is_one = [&](const auto& each) { return each.job >= workload_.jobs.size(); };
  return static_cast<double>(std::ranges::count_if(runner.running, is_one) +
                             std::ranges::count_if(runner.waiting, is_one));
}

std::optional<InstanceIndex> Clairvoyant::best_slot(JobIndex job) {
  const Job& what = workload_.jobs[job];
  std::optional<InstanceIndex> best;
  double least = 1e300;
  for (InstanceIndex i = 0; i < sites_.size(); ++i) {
    const Runner* runner = world_.backend(i).ready_runner(what.model);
    if (runner == nullptr || world_.is_down(i)) continue;
    const double users = sites_[i].users[what.model] + strangers_at(*runner);
    if (users >= runner->slots) continue;
    double active = users == 0 ? 1 : 0;
    for (const std::uint32_t each : sites_[i].users) active += each > 0 ? 1 : 0;
    const double prefill = runner->pace.prefill(what.prompt, runner->prefixes.cached(what));
    const double before = users > 0 ? runner->pace.step(users, 0) : 0;
    const double step = runner->pace.step(users + 1, what.prompt);
    double reading = 0;
    double others = 0;
    for (const SimBackend::Running& running : runner->running) {
      reading += running.decoding ? 0 : running.prefill_left;
      const double left = running.decoding ? running.end - runner->written : 100;
      others += std::min<double>(left, what.output) * (step - before);
    }
    // One that leaves is there until its last answer ends: who ends before that holds nobody up.
    const double own = reading + prefill + what.output * step;
    if (runner->leaving && own * active > drain_s(*runner)) continue;
    const double cost = (reading + prefill) * active +
                        kWritingWeight * what.output * step * active + kWritingWeight * others +
                        prefill * users;
    if (cost >= least) continue;
    least = cost;
    best = i;
  }
  return best;
}

// --- loads ---

void Clairvoyant::finish_loads(Orders& orders) {
  for (InstanceIndex i = 0; i < sites_.size(); ++i) {
    Site& site = sites_[i];
    const SimBackend& backend = world_.look(i);
    if (site.next && backend.ready_runner(*site.next) != nullptr &&
        !backend.ready_runner(*site.next)->leaving) {
      site.next.reset();
      site.ordered = false;
    }
    if (world_.is_down(i) || world_.loads_fail(i)) {
      site.next.reset();
      site.ordered = false;
      continue;
    }
    // Nothing moves there although something should: the plan is made anew.
    const bool moves = std::ranges::any_of(
        backend.runners(), [](const auto& runner) { return !runner->ready() || runner->leaving; });
    const bool stuck =
        site.ordered || (site.next && backend.free_gb() < fleet_.models[*site.next].vram_gb());
    if (site.next && stuck && !moves && backend.pending() == 0) {
      site.next.reset();
      site.ordered = false;
    }
    if (!site.next && !site.plan.empty()) {
      site.next = site.plan.front();
      site.plan.erase(site.plan.begin());
    }
    if (!site.next || site.ordered) continue;
    if (backend.free_gb() < fleet_.models[*site.next].vram_gb()) continue;
    site.ordered = true;
    orders.push_back({Order::Kind::kLoad, kNoJob, i, *site.next});
  }
}

// How long those who wait would keep all slots of the model busy.
double Clairvoyant::backlog_s(ModelIndex model) const {
  double wait = 0;
  double slots = 0;
  for (InstanceIndex i = 0; i < sites_.size(); ++i) {
    if (!has_replica(model, i)) continue;
    slots += fleet_.models[model].slots;
    for (const JobIndex job : waiting_[model]) wait += work_s(job, i) * fleet_.models[model].slots;
  }
  return slots == 0 ? 1e9 : wait / slots / slots;
}

double Clairvoyant::drain_s(const SimBackend::Runner& runner) const {
  double drain = 0;
  for (const SimBackend::Running& running : runner.running) {
    const double left =
        running.decoding ? running.end - runner.written : world_.jobs()[running.job].output;
    drain = std::max(drain, left * runner.pace.step(2, 0));
  }
  return drain;
}

// Seconds of waiting that its leaving causes to others.
double Clairvoyant::loss_s(ModelIndex model, Instant now) const {
  double replicas = 0;
  for (InstanceIndex i = 0; i < sites_.size(); ++i) replicas += has_replica(model, i) ? 1 : 0;
  const double uses = coming(model, now, kHorizon) + static_cast<double>(waiting_[model].size());
  // Fewer replicas are a little worse. Without any, who comes within the time of a reload waits.
  if (replicas > 1) return 0.2 * uses / replicas;
  const double reload = fleet_.load_s(model);
  return std::min(1.0, uses) * reload + coming(model, now, reload) * reload / 2;
}

// Seconds until the model could be used there, and what others lose by it; and who has to leave.
Clairvoyant::Move Clairvoyant::move_to(ModelIndex model, InstanceIndex instance, Instant now) {
  const SimBackend& backend = world_.look(instance);
  struct Victim {
    const Runner* runner;
    double loss;
    double drain;
  };
  std::vector<Victim> victims;
  double free = backend.free_gb();
  for (const auto& runner : backend.runners()) {
    if (runner->leaving || runner->state == Runner::State::kUnloading) {
      free += runner->gb;
    } else if (runner->ready()) {
      victims.push_back({runner.get(), loss_s(runner->model, now), drain_s(*runner)});
    }
  }
  std::ranges::stable_sort(victims, {}, [](const Victim& v) { return v.loss + v.drain; });
  Move move;
  double drain = 0;
  for (const Victim& victim : victims) {
    if (free >= fleet_.models[model].vram_gb()) break;
    free += victim.runner->gb;
    move.cost_s += victim.loss;
    drain = std::max(drain, victim.drain + fleet_.unload_s);
    move.leaving.push_back(victim.runner->model);
  }
  const double busy = std::min(0.95, demand_on(instance, now));
  const double writing = fleet_.pace(instance, model).step(1, 1000) * mean_work_[model];
  move.cost_s += drain + fleet_.load_s(model) + kWritingWeight * writing / (1 - busy) + 5 * busy;
  return move;
}

void Clairvoyant::place(Instant now, Orders& orders) {
  for (ModelIndex m = 0; m < waiting_.size(); ++m) {
    const auto under_way = [&](const Site& site) {
      return site.next == m || std::ranges::count(site.plan, m) > 0;
    };
    if (waiting_[m].empty() || std::ranges::any_of(sites_, under_way)) continue;
    bool anywhere = false;
    std::optional<InstanceIndex> best;
    Move cheapest{1e300, {}};
    for (InstanceIndex i = 0; i < sites_.size(); ++i) {
      anywhere |= has_replica(m, i);
      const bool occupied = sites_[i].next || !sites_[i].plan.empty();
      if (occupied || world_.is_down(i) || world_.loads_fail(i) || !fleet_.fits(i, m) ||
          has_replica(m, i))
        continue;
      Move move = move_to(m, i, now);
      if (move.cost_s >= cheapest.cost_s) continue;
      cheapest = std::move(move);
      best = i;
    }
    if (!best) continue;
    const double count = static_cast<double>(waiting_[m].size()) + coming(m, now, kSoon);
    const double gain = backlog_s(m) * std::sqrt(count);
    if (anywhere && gain < kWorthIt * cheapest.cost_s) continue;
    for (const ModelIndex victim : cheapest.leaving) {
      orders.push_back({Order::Kind::kUnload, kNoJob, *best, victim});
    }
    sites_[*best].next = m;
    sites_[*best].ordered = false;
    orders.push_back({Order::Kind::kWakeAt, kNoJob, 0, 0, now});
  }
}

}  // namespace drover::sim
