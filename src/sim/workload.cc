#include "sim/workload.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace drover::sim {
namespace {

// Logarithms of token counts, as computed from the Azure LLM traces of 2023 (conversations, code).
constexpr Lognormal kConversationIn{6.63, 0.99};
constexpr Lognormal kConversationOut{5.02, 0.86};
constexpr Lognormal kCodeOut{2.79, 0.85};
// A message of a conversation, without what was said before: these add up to the above.
constexpr Lognormal kMessage{5.6, 0.9};
constexpr Lognormal kToolResult{5.0, 1.0};
constexpr std::uint32_t kSystemPrompt = 4096;
constexpr double kMeanTurns = 3;
constexpr double kMeanAgentTurns = 6;
constexpr double kThinkSeconds = 30;  // of a person; half of them take less than 21 s
constexpr double kToolSeconds = 2;

// How traffic swells: pieces of constant rate, whose mean is 1.
class Swell {
 public:
  Swell(Arrivals kind, double length_s, Rng& rng) : kind_(kind), length_(length_s), rng_(rng) {
    if (kind_ == Arrivals::kBursts) end_ = exponential(rng_, kCalm);
  }
  // The instant at which `work` seconds of mean traffic have passed since the last call.
  double pass(double work) {
    while (work > (end_ - now_) * level()) {
      work -= (end_ - now_) * level();
      now_ = end_;
      next_piece();
    }
    now_ += work / level();
    return now_;
  }

 private:
  // Azure's code trace: ten seconds in every hundred bring most of the load.
  static constexpr double kCalm = 180;
  static constexpr double kBurst = 20;
  static constexpr double kCalmLevel = 0.25;
  static constexpr double kBurstLevel = (kCalm + kBurst - kCalm * kCalmLevel) / kBurst;
  static constexpr double kStep = 10;  // of the day curve

  double level() const {
    if (kind_ == Arrivals::kBursts) return bursting_ ? kBurstLevel : kCalmLevel;
    if (kind_ == Arrivals::kDay) {
      return 1 - 0.8 * std::cos(2 * std::numbers::pi * 2 * (now_ + kStep / 2) / length_);
    }
    return 1;
  }
  void next_piece() {
    if (kind_ == Arrivals::kBursts) {
      bursting_ = !bursting_;
      end_ = now_ + exponential(rng_, bursting_ ? kBurst : kCalm);
    } else {
      end_ = now_ + kStep;
    }
  }

  Arrivals kind_;
  double length_;
  Rng& rng_;
  double now_ = 0;
  double end_ = kStep;
  bool bursting_ = false;
};

class Maker {
 public:
  Maker(const Traffic& traffic, const Fleet& fleet, std::uint64_t seed)
      : traffic_(traffic),
        fleet_(fleet),
        rng_(seed),
        zipf_(fleet.models.size(), traffic.popularity) {}

  Workload make() {
    work_.tenants = traffic_.tenants == Tenants::kOne ? 1 : 10;
    work_.one_address = traffic_.one_address;
    // The aggressor sends three times as much as all others together.
    const double share = traffic_.tenants == Tenants::kAggressor ? 0.25 : 1;
    const double rate = traffic_.rate / share / mean_turns();
    length_ = traffic_.requests / rate / mean_turns();
    Rng swelling = Rng(rng_.next());
    Swell swell(traffic_.arrivals, length_, swelling);
    const GammaGaps gaps{traffic_.arrivals == Arrivals::kGamma ? 2.0 : 1.0};
    while (work_.jobs.size() < traffic_.requests) {
      const double at = swell.pass(gaps.sample(rng_) / rate);
      converse(Instant(seconds_of(at)));
    }
    return std::move(work_);
  }

 private:
  double mean_turns() const {
    if (traffic_.talk == Talk::kSessions) return kMeanTurns;
    return traffic_.talk == Talk::kAgents ? kMeanAgentTurns : 1;
  }
  std::uint32_t tokens(const Lognormal& lengths, std::uint32_t most) {
    return static_cast<std::uint32_t>(std::clamp(lengths.sample(rng_), 1.0, double(most)));
  }
  std::uint32_t tenant() {
    if (traffic_.tenants == Tenants::kOne) return 0;
    if (traffic_.tenants == Tenants::kTen) return static_cast<std::uint32_t>(rng_.below(10));
    return rng_.unit() < 0.75 ? 0 : 1 + static_cast<std::uint32_t>(rng_.below(9));
  }
  // Every third of a shifting run, other models are the popular ones.
  ModelIndex model(Instant at) {
    std::size_t rank = zipf_.sample(rng_);
    if (traffic_.arrivals == Arrivals::kShift) {
      rank += 3 * static_cast<std::size_t>(3 * to_seconds(at.time_since_epoch()) / length_);
    }
    return static_cast<ModelIndex>(rank % fleet_.models.size());
  }
  void speak(Job& job) {
    switch (traffic_.talk) {
      case Talk::kSingle:
        job.prompt = tokens(kConversationIn, 6000);
        job.output = tokens(kConversationOut, 2000);
        break;
      case Talk::kSessions:
        job.prompt = job.history + tokens(kMessage, 3000);
        job.output = tokens(kConversationOut, 2000);
        break;
      case Talk::kAgents:
        job.shared = kSystemPrompt;
        job.prompt = std::max(job.history, kSystemPrompt) + tokens(kToolResult, 2000);
        job.output = tokens(kCodeOut, 1000);
        break;
      case Talk::kQueueing:
        // The first token costs nothing there; the others are the service.
        job.output = 1 + static_cast<std::uint32_t>(exponential(rng_, traffic_.mean_output) + 0.5);
        break;
    }
  }
  void converse(Instant at) {
    const std::size_t turns = mean_turns() == 1 ? 1 : geometric(rng_, 1 / mean_turns());
    Job job{.model = model(at), .tenant = tenant(), .session = sessions_++, .planned = at};
    job.batch = traffic_.aggressor_is_batch && job.tenant == 0;
    const std::uint32_t most = fleet_.models[job.model].num_ctx;
    work_.arrivals.push_back(static_cast<JobIndex>(work_.jobs.size()));
    work_.last_arrival = at;
    const double think = traffic_.talk == Talk::kAgents ? kToolSeconds : kThinkSeconds;
    const Lognormal thinking{std::log(think) - 0.32, 0.8};  // the mean is `think`
    for (std::size_t turn = 0; turn < turns; ++turn) {
      speak(job);
      // Full: the conversation ends before Ollama would begin to forget its beginning.
      if (!job.first && job.prompt + job.output > most) break;
      const auto index = static_cast<JobIndex>(work_.jobs.size());
      if (!job.first) work_.jobs.back().next = index;
      work_.jobs.push_back(job);
      job.first = false;
      job.history = job.prompt + job.output;
      job.gap = seconds_of(thinking.sample(rng_));
      job.planned += job.gap;
    }
  }

  const Traffic& traffic_;
  const Fleet& fleet_;
  Rng rng_;
  Zipf zipf_;
  Workload work_;
  double length_ = 1;
  std::uint32_t sessions_ = 0;
};

}  // namespace

Workload make_workload(const Traffic& traffic, const Fleet& fleet, std::uint64_t seed) {
  Workload workload = Maker(traffic, fleet, seed).make();
  workload.seed = seed;
  return workload;
}

}  // namespace drover::sim
