#include "sim/baselines.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace drover::sim {
namespace {

constexpr std::uint8_t kMaxAttempts = 3;
constexpr InstanceIndex kNowhere = UINT32_MAX;

std::uint64_t mix(std::uint64_t a, std::uint64_t b) { return Rng(a * 1'000'003 + b).next(); }

}  // namespace

Baseline::Baseline(const Fleet& fleet, const Workload& workload, std::uint64_t seed)
    : fleet_(fleet),
      workload_(workload),
      rng_(seed),
      ledgers_(fleet.gpus.size()),
      alive_(fleet.gpus.size(), true),
      attempts_(workload.jobs.size()),
      placed_(workload.jobs.size(), kNowhere) {
  for (Ledger& ledger : ledgers_) ledger.loaded.resize(fleet.models.size());
}

void Baseline::arrived(JobIndex job, Instant now, Orders& orders) { place(job, now, orders); }

void Baseline::place(JobIndex job, Instant now, Orders& orders) {
  Instances able;
  for (InstanceIndex i = 0; i < ledgers_.size(); ++i) {
    const bool failed = attempts_[job] > 0 && placed_[job] == i;
    const bool fits = fleet_.fits(i, workload_.jobs[job].model);
    if (fits && alive_[i] && !failed) able.push_back(i);
  }
  if (able.empty() || attempts_[job] >= kMaxAttempts) {
    orders.push_back({Order::Kind::kRefuse, job});
    return;
  }
  const InstanceIndex chosen = choose(job, able, now);
  placed_[job] = chosen;
  ++attempts_[job];
  ledgers_[chosen].open.push_back({job, workload_.jobs[job].model, now, false});
  orders.push_back({Order::Kind::kSend, job, chosen});
}

void Baseline::first_token(JobIndex job, Instant now, Orders&) {
  Ledger& ledger = ledgers_[placed_[job]];
  const auto found = std::ranges::find(ledger.open, job, &Open::job);
  DROVER_ASSERT(found != ledger.open.end());
  found->writing = true;
  found->sent = now;
  ledger.loaded[found->model] = true;
}

void Baseline::ended(JobIndex job, Ending ending, const Served&, Instant now, Orders& orders) {
  std::vector<Open>& open = ledgers_[placed_[job]].open;
  const auto found = std::ranges::find(open, job, &Open::job);
  DROVER_ASSERT(found != open.end());
  open.erase(found);
  if (ending != Ending::kServed && ending != Ending::kLost) place(job, now, orders);
}

void Baseline::polled(InstanceIndex instance, std::span<const ModelIndex> loaded, Instant,
                      Orders&) {
  alive_[instance] = true;
  std::vector<bool>& known = ledgers_[instance].loaded;
  std::fill(known.begin(), known.end(), false);
  for (const ModelIndex model : loaded) known[model] = true;
}

InstanceIndex Baseline::least_open(const Instances& able) {
  Instances least;
  for (const InstanceIndex each : able) {
    if (!least.empty() && open_at(each) > open_at(least.front())) continue;
    if (!least.empty() && open_at(each) < open_at(least.front())) least.clear();
    least.push_back(each);
  }
  return least[rng_.below(least.size())];
}

// --- the simple ones ---

InstanceIndex RandomChoice::choose(JobIndex, const Instances& able, Instant) {
  return able[rng_.below(able.size())];
}

InstanceIndex TwoChoices::choose(JobIndex, const Instances& able, Instant) {
  const InstanceIndex one = able[rng_.below(able.size())];
  const InstanceIndex two = able[rng_.below(able.size())];
  return open_at(two) < open_at(one) ? two : one;
}

InstanceIndex ModelHash::choose(JobIndex job, const Instances& able, Instant) {
  Instances order = able;
  const ModelIndex model = workload_.jobs[job].model;
  std::ranges::sort(order, {}, [&](InstanceIndex each) { return mix(model, each); });
  double sum = 1;  // this one
  for (const InstanceIndex each : able) sum += open_at(each);
  const double most = std::ceil(1.25 * sum / static_cast<double>(able.size()));
  for (const InstanceIndex each : order) {
    if (open_at(each) + 1 <= most) return each;
  }
  return order.front();
}

InstanceIndex Affinity::choose(JobIndex job, const Instances& able, Instant) {
  const ModelIndex model = workload_.jobs[job].model;
  Instances homes;
  for (const InstanceIndex each : able) {
    const auto& open = ledgers_[each].open;
    const bool coming = std::ranges::find(open, model, &Open::model) != open.end();
    if (ledgers_[each].loaded[model] || coming) homes.push_back(each);
  }
  return least_open(homes.empty() ? able : homes);
}

// --- the early-bound expected completion ---

namespace {

constexpr double kPriorOutput = 200;
constexpr double kWritingWeight = 0.2;  // a second of writing hurts less than a second of silence
constexpr double kDemandSeconds = 180;  // fading of what is known about demand
constexpr double kHorizon = 60;         // what is evicted is missed for so long at most

}  // namespace

EarlyCompletion::EarlyCompletion(const Fleet& fleet, const Workload& workload, std::uint64_t seed)
    : Baseline(fleet, workload, seed),
      output_(fleet.models.size(), kPriorOutput),
      demand_(fleet.models.size()) {}

void EarlyCompletion::ended(JobIndex job, Ending ending, const Served& served, Instant now,
                            Orders& orders) {
  const Job& what = workload_.jobs[job];
  if (ending == Ending::kServed) output_[what.model] += 0.05 * (what.output - output_[what.model]);
  Baseline::ended(job, ending, served, now, orders);
}

InstanceIndex EarlyCompletion::choose(JobIndex job, const Instances& able, Instant now) {
  const Job& what = workload_.jobs[job];
  const double faded = std::exp(-to_seconds(now - demand_at_) / kDemandSeconds);
  demand_at_ = now;
  for (double& each : demand_) each *= faded;
  demand_[what.model] += 1 / kDemandSeconds;
  InstanceIndex best = able.front();
  double least = 1e300;
  for (const InstanceIndex each : able) {
    const double price = cost(what, each, now);
    if (price >= least) continue;
    least = price;
    best = each;
  }
  last_at_[what.session] = best;
  return best;
}

double EarlyCompletion::remaining_s(const Open& open, InstanceIndex instance, double together,
                                    Instant now) const {
  const Pace pace = fleet_.pace(instance, open.model);
  const double step = pace.step(together, 0);
  const double mean = output_[open.model] * step;
  if (!open.writing) return mean + pace.prefill(workload_.jobs[open.job].prompt, 0);
  // Whoever has written long is expected to go on for a while.
  return std::max(mean - to_seconds(now - open.sent), 0.4 * mean);
}

double EarlyCompletion::load_wait_s(ModelIndex model, InstanceIndex instance, Instant now) const {
  const Ledger& ledger = ledgers_[instance];
  double wait = fleet_.load_s(model);
  double used = fleet_.models[model].vram_gb();
  double drain = 0;
  for (ModelIndex other = 0; other < fleet_.models.size(); ++other) {
    const bool open = std::ranges::find(ledger.open, other, &Open::model) != ledger.open.end();
    if (other == model || (!ledger.loaded[other] && !open)) continue;
    used += fleet_.models[other].vram_gb();
    if (!ledger.loaded[other]) wait += fleet_.load_s(other);  // it is in front in the line
    if (!open) used -= fleet_.models[other].vram_gb();        // idle: it would go at once
  }
  if (used > fleet_.gpus[instance].memory_gb * 0.95) {
    for (const Open& open : ledger.open) {
      drain = std::max(drain, remaining_s(open, instance, 1, now));
    }
  }
  return wait + drain;
}

double EarlyCompletion::eviction_s(ModelIndex model, InstanceIndex instance) const {
  double used = fleet_.models[model].vram_gb();
  double cost = 0;
  for (ModelIndex other = 0; other < fleet_.models.size(); ++other) {
    if (other == model || !ledgers_[instance].loaded[other]) continue;
    used += fleet_.models[other].vram_gb();
    if (used <= fleet_.gpus[instance].memory_gb * 0.95) continue;
    double replicas = 0;
    for (const Ledger& ledger : ledgers_) replicas += ledger.loaded[other] ? 1 : 0;
    cost += std::min(1.0, demand_[other] * kHorizon) * fleet_.load_s(other) / (replicas * replicas);
  }
  return cost;
}

double EarlyCompletion::cost(const Job& job, InstanceIndex instance, Instant now) const {
  const Ledger& ledger = ledgers_[instance];
  const Pace pace = fleet_.pace(instance, job.model);
  double same = 0;
  double same_s = 0;
  std::vector<bool> active(fleet_.models.size());
  active[job.model] = true;
  for (const Open& open : ledger.open) {
    active[open.model] = true;
    same += open.model == job.model ? 1 : 0;
  }
  const double share = static_cast<double>(std::ranges::count(active, true));
  const double slots = fleet_.models[job.model].slots;
  const double together = std::min(same, slots - 1) + 1;
  for (const Open& open : ledger.open) {
    if (open.model == job.model) same_s += remaining_s(open, instance, together, now);
  }
  double wait = 0;
  if (same >= slots) wait = same_s * share / slots * (same - slots + 1) / same;
  double cost = 0;
  if (!ledger.loaded[job.model]) {
    wait += load_wait_s(job.model, instance, now);
    if (same == 0) cost += eviction_s(job.model, instance);
  }
  const auto last = last_at_.find(job.session);
  const bool known = ledger.loaded[job.model] && last != last_at_.end() && last->second == instance;
  const double prefill =
      pace.prefill(job.prompt, known ? std::min(job.history, job.prompt - 1) : 0);
  const double output = output_[job.model];
  const double slower = pace.step(together, 0) - pace.step(std::max(1.0, together - 1), 0);
  cost += (together - 1) * (prefill + slower * output);
  return cost + wait + prefill * share + kWritingWeight * output * pace.step(together, 0) * share;
}

}  // namespace drover::sim
