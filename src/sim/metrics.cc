#include "sim/metrics.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "sim/swap_bound.h"

namespace drover::sim {
namespace {

constexpr std::array<MetricText, kMetrics> kTexts = {{
    {"ttft_p50_s", "first token p50, s", 2, false},
    {"ttft_p90_s", "first token p90, s", 2, false},
    {"ttft_p99_s", "first token p99, s", 2, false},
    {"ttft_mean_s", "first token mean, s", 2, false},
    {"end_p50_s", "whole answer p50, s", 2, false},
    {"end_p99_s", "whole answer p99, s", 2, false},
    {"gap_p99_ms", "between tokens p99, ms", 0, false},
    {"goodput", "goodput (5 s, 100 ms), %", 1, true},
    {"goodput_of_admitted", "goodput of those not shed, %", 1, true},
    {"shed", "shed, %", 1, false},
    {"failed", "failed, %", 1, false},
    {"throughput", "answers a second, to the last one", 3, true},
    {"loads_per_1000", "loads per 1000 requests", 1, false},
    {"loaded_gb", "gigabytes loaded", 0, false},
    {"loaded_times_least", "the same, times the least", 2, false},
    {"reused", "prompt tokens reused, %", 1, true},
    {"reused_of_all", "of what never forgets, %", 1, true},
    {"jain_service", "fairness of service (Jain)", 3, true},
    {"jain_minute", "service in a minute (Jain), median", 3, true},
    {"jain_minute_p10", "the same, p10", 3, true},
    {"jain_slowdown", "fairness of slowdown (Jain)", 3, true},
    {"victims_p99_s", "others than tenant 0, p99, s", 2, false},
    {"victims_times_alone", "the same, times without tenant 0", 2, false},
    {"gpu_busy", "GPUs computing, %", 1, false},
    {"gpu_lost_s", "GPU seconds lost to loads", 0, false},
    {"foretold_off", "first token foretold, median off, %", 1, false},
    {"foretold_by_p90", "first token by its foretold p90, %", 1, true},
}};

constexpr double kWarmUp = 0.1;

double span(Instant from, Instant to) { return to_seconds(to - from); }

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double each : values) sum += each;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

// What each tenant may have of `total` when nobody gets more than they want.
std::vector<double> fair_shares(const std::vector<double>& wanted, double total) {
  std::vector<double> sorted = wanted;
  std::ranges::sort(sorted);
  double level = 0;
  double left = total;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const double each = left / static_cast<double>(sorted.size() - i);
    level = each;
    if (sorted[i] > each) break;
    left -= sorted[i];
  }
  std::vector<double> shares;
  for (const double want : wanted) shares.push_back(std::min(want, level));
  return shares;
}

class Measuring {
 public:
  Measuring(const World& world, const Router& router)
      : world_(world), router_(router), work_(world.workload()) {}

  Metrics metrics() {
    const Instant from = Instant(Duration(static_cast<Duration::rep>(
        static_cast<double>(work_.last_arrival.time_since_epoch().count()) * kWarmUp)));
    for (JobIndex job = 0; job < work_.jobs.size(); ++job) {
      const Record& record = world_.records()[job];
      if (record.arrived == kNever) continue;
      if (record.outcome == Outcome::kServed) count_answer(record);
      count_tenant(job, record);
      if (record.arrived < from) continue;
      count(job, record);
    }
    waiting();
    foretold();
    tenants();
    machines();
    return metrics_;
  }

 private:
  void count(JobIndex job, const Record& record) {
    ++offered_;
    const Job& what = work_.jobs[job];
    if (record.outcome == Outcome::kRefused) ++shed_;
    if (record.outcome == Outcome::kFailed) ++failed_;
    if (record.first == kNever) return;
    const double wait = span(record.arrived, record.first);
    ttft_.push_back(wait);
    count_foretold(router_.foretold(job), span(record.sent, record.first));
    if (what.tenant != 0) victims_.push_back(wait);
    if (record.outcome != Outcome::kServed) return;
    reusable_ += reusable(what);
    prompts_ += what.prompt;
    cached_ += record.cached;
    end_.push_back(span(record.arrived, record.ended));
    const double gap = what.output < 2 ? 0 : span(record.first, record.ended) / (what.output - 1);
    gaps_.push_back(gap * 1000);
    if (wait <= kGoodTtftSeconds && gap <= kGoodGapSeconds) ++good_;
  }
  void count_foretold(const Foretold& said, double took) {
    if (said.first_s <= 0 || took <= 0) return;
    off_.push_back(std::abs(said.first_s - took) / took);
    if (took <= said.late_s) ++by_p90_;
  }
  void count_answer(const Record& record) {
    ++answers_;
    last_answer_ = std::max(last_answer_, record.ended);
  }
  // With a cache that forgets nothing and is everywhere.
  double reusable(const Job& what) {
    std::uint32_t tokens = what.history;
    if (what.shared > 0 && !shared_.insert(what.model).second) {
      tokens = std::max(tokens, what.shared);
    }
    return std::min(tokens, what.prompt - 1);
  }
  void count_tenant(JobIndex job, const Record& record) {
    const Job& what = work_.jobs[job];
    if (wanted_.empty()) {
      wanted_.resize(work_.tenants);
      got_.resize(work_.tenants);
      slow_.resize(work_.tenants);
      answered_.resize(work_.tenants);
      waits_.resize(work_.tenants);
    }
    // Who is refused in the end, or fails, has waited until then.
    const Instant waited_until = std::min(record.first, record.ended);
    if (waited_until != kNever) {
      waits_[what.tenant].emplace_back(span({}, record.arrived), span({}, waited_until));
    }
    const double tokens = what.prompt + 2.0 * what.output;
    if (record.arrived > work_.last_arrival) return;
    wanted_[what.tenant] += tokens;
    if (record.outcome != Outcome::kServed) return;
    if (record.ended <= work_.last_arrival) got_[what.tenant] += tokens;
    count_minutes(what.tenant, what, record);
    const Pace pace = world_.fleet().pace(record.instance, what.model);
    const double alone = pace.prefill(what.prompt, record.cached) + what.output * pace.step(1, 0);
    slow_[what.tenant] += span(record.arrived, record.ended) / std::max(alone, 1e-6);
    answered_[what.tenant] += 1;
  }
  // What it got in each minute: the prompt when its first token came, the answer evenly.
  void count_minutes(std::uint32_t tenant, const Job& what, const Record& record) {
    add_to_minutes(tenant, record.first, record.first, what.prompt);
    add_to_minutes(tenant, record.first, record.ended, 2.0 * what.output);
  }
  void add_to_minutes(std::uint32_t tenant, Instant from, Instant to, double tokens) {
    const auto minute = [](Instant at) { return static_cast<std::size_t>(span({}, at) / 60); };
    if (minutes_.size() <= minute(to)) {
      minutes_.resize(minute(to) + 1, std::vector<double>(work_.tenants));
    }
    if (minute(from) == minute(to)) {
      minutes_[minute(to)][tenant] += tokens;
      return;
    }
    const double all = span(from, to);
    for (std::size_t i = minute(from); i <= minute(to); ++i) {
      const double begin = std::max(span({}, from), 60.0 * static_cast<double>(i));
      const double end = std::min(span({}, to), 60.0 * static_cast<double>(i + 1));
      minutes_[i][tenant] += tokens * (end - begin) / all;
    }
  }
  void waiting() {
    at(metrics_, Metric::kTtftP50) = quantile(ttft_, 0.5);
    at(metrics_, Metric::kTtftP90) = quantile(ttft_, 0.9);
    at(metrics_, Metric::kTtftP99) = quantile(ttft_, 0.99);
    at(metrics_, Metric::kTtftMean) = mean(ttft_);
    at(metrics_, Metric::kEndP50) = quantile(end_, 0.5);
    at(metrics_, Metric::kEndP99) = quantile(end_, 0.99);
    at(metrics_, Metric::kGapP99) = quantile(gaps_, 0.99);
    at(metrics_, Metric::kVictimsP99) = quantile(victims_, 0.99);
    const double offered = std::max(1.0, offered_);
    at(metrics_, Metric::kGoodput) = 100 * good_ / offered;
    at(metrics_, Metric::kGoodOfAdmitted) = 100 * good_ / std::max(1.0, offered_ - shed_);
    at(metrics_, Metric::kShed) = 100 * shed_ / offered;
    at(metrics_, Metric::kFailed) = 100 * failed_ / offered;
    at(metrics_, Metric::kThroughput) = answers_ / std::max(1e-9, span(Instant{}, last_answer_));
    at(metrics_, Metric::kReusedOfAll) = 100 * cached_ / std::max(1.0, reusable_);
    at(metrics_, Metric::kReused) = 100 * cached_ / std::max(1.0, prompts_);
  }
  void foretold() {
    const bool any = !off_.empty();
    const auto count = static_cast<double>(off_.size());
    at(metrics_, Metric::kForetoldOff) = any ? 100 * quantile(off_, 0.5) : kNone;
    at(metrics_, Metric::kForetoldByP90) = any ? 100 * by_p90_ / count : kNone;
  }
  void tenants() {
    double total = 0;
    for (const double each : got_) total += each;
    const std::vector<double> fair = fair_shares(wanted_, total);
    std::vector<double> service;
    std::vector<double> slowdown;
    for (std::size_t tenant = 0; tenant < got_.size(); ++tenant) {
      if (fair[tenant] > 0) service.push_back(std::min(1.0, got_[tenant] / fair[tenant]));
      if (answered_[tenant] > 0) slowdown.push_back(slow_[tenant] / answered_[tenant]);
    }
    at(metrics_, Metric::kJainService) = jain(service);
    at(metrics_, Metric::kJainSlowdown) = jain(slowdown);
    const std::vector<double> each = minutes();
    at(metrics_, Metric::kJainMinute) = each.empty() ? 1 : quantile(each, 0.5);
    at(metrics_, Metric::kJainMinuteP10) = each.empty() ? 1 : quantile(each, 0.1);
  }
  // Of each minute in which several had a backlog from end to end the index of what these got.
  // Whole minutes while requests come, without those in which the queues fill.
  std::vector<double> minutes() {
    for (Waits& waits : waits_) join(waits);
    const double last = span({}, work_.last_arrival) / 60;
    std::vector<double> each;
    for (auto i = static_cast<std::size_t>(last * kWarmUp) + 1; i + 1 < last; ++i) {
      std::vector<double> shares;
      for (std::size_t tenant = 0; tenant < waits_.size() && i < minutes_.size(); ++tenant) {
        if (had_backlog(waits_[tenant], i)) shares.push_back(minutes_[i][tenant]);
      }
      if (shares.size() > 1) each.push_back(jain(shares));
    }
    return each;
  }
  // Seconds from which and until which somebody of a tenant waited for a first token.
  using Waits = std::vector<std::pair<double, double>>;
  static void join(Waits& waits) {
    std::ranges::sort(waits);
    Waits joined;
    for (const auto& [from, to] : waits) {
      if (joined.empty() || from > joined.back().second) {
        joined.emplace_back(from, to);
      } else {
        joined.back().second = std::max(joined.back().second, to);
      }
    }
    waits.swap(joined);
  }
  static bool had_backlog(const Waits& joined, std::size_t minute) {
    const double from = 60.0 * static_cast<double>(minute);
    return std::ranges::any_of(
        joined, [&](const auto& wait) { return wait.first <= from && wait.second >= from + 60; });
  }
  void machines() {
    double busy = 0;
    double loads = 0;
    double loaded = 0;
    double lost = 0;
    const std::size_t count = world_.fleet().gpus.size();
    for (InstanceIndex i = 0; i < count; ++i) {
      const BackendTotals& totals = world_.backend(i).totals();
      busy += totals.busy_s;
      loads += static_cast<double>(totals.loads);
      loaded += totals.loaded_gb;
      lost += totals.idle_load_s;
    }
    const double seconds = std::max(1e-9, span(Instant{}, world_.now()));
    at(metrics_, Metric::kBusy) = 100 * busy / seconds / static_cast<double>(count);
    at(metrics_, Metric::kLoads) = 1000 * loads / static_cast<double>(work_.jobs.size());
    at(metrics_, Metric::kLoadedGb) = loaded;
    at(metrics_, Metric::kLost) = lost;
  }

  const World& world_;
  const Router& router_;
  const Workload& work_;
  Metrics metrics_{};
  std::vector<double> ttft_, end_, gaps_, victims_;
  std::vector<double> off_;  // what was foretold, in parts of what it took
  double by_p90_ = 0;
  std::vector<double> wanted_, got_, slow_, answered_;  // by tenant
  std::vector<std::vector<double>> minutes_;            // tokens, by minute, then by tenant
  std::vector<Waits> waits_;                            // by tenant
  double answers_ = 0;
  Instant last_answer_{};
  double offered_ = 0, good_ = 0, shed_ = 0, failed_ = 0;
  double prompts_ = 0, cached_ = 0, reusable_ = 0;
  std::set<ModelIndex> shared_;  // models whose system prompt was read
};

}  // namespace

const MetricText& text_of(Metric metric) { return kTexts[static_cast<std::size_t>(metric)]; }

Metrics measure(const World& world, const Router& router) {
  return Measuring(world, router).metrics();
}

double jain(const std::vector<double>& shares) {
  double sum = 0;
  double squares = 0;
  for (const double each : shares) {
    sum += each;
    squares += each * each;
  }
  return squares == 0 ? 1 : sum * sum / (static_cast<double>(shares.size()) * squares);
}

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  const double rank = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(rank);
  const auto nth = values.begin() + static_cast<std::ptrdiff_t>(below);
  std::nth_element(values.begin(), nth, values.end());
  const double low = *nth;
  if (below + 1 == values.size()) return low;
  const double high = *std::min_element(nth + 1, values.end());
  return low + (rank - static_cast<double>(below)) * (high - low);
}

// --- bounds ---

Bounds bounds_of(const Fleet& fleet, const Workload& workload) {
  Bounds bounds;
  std::vector<double> ttft;
  std::vector<bool> shared(fleet.models.size());
  for (const Job& job : workload.jobs) {
    std::uint32_t cached = job.history;
    if (shared[job.model]) cached = std::max(cached, job.shared);
    if (job.shared > 0) shared[job.model] = true;
    cached = std::min(cached, job.prompt - 1);
    double least = 1e300;
    for (InstanceIndex i = 0; i < fleet.gpus.size(); ++i) {
      if (!fleet.fits(i, job.model)) continue;
      least = std::min(least, fleet.pace(i, job.model).prefill(job.prompt, cached));
    }
    ttft.push_back(least);
    bounds.reusable_tokens += cached;
  }
  bounds.ttft_p50 = quantile(ttft, 0.5);
  bounds.ttft_p99 = quantile(ttft, 0.99);
  const bool bounded = workload.jobs.size() <= kMostBounded;
  bounds.swapped_gb = bounded ? least_read_gb(swap_problem(fleet, workload)) : kNone;
  return bounds;
}

}  // namespace drover::sim
