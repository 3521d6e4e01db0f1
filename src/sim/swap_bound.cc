#include "sim/swap_bound.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

namespace drover::sim {
namespace {

// From one use of a model to its next: it stays, or is read again.
struct Gap {
  ModelIndex model = 0;
  std::size_t after = 0;   // the use that it begins with,
  std::size_t before = 0;  // and the one that it ends with; others lie between
};

double sum(const std::vector<double>& values) {
  double total = 0;
  for (const double each : values) total += each;
  return total;
}

// What is loaded at once keeps this, in every schedule: beside the model that is used, those that
// stay have weights of at most `room` together.
struct Limit {
  std::vector<double> weights;  // by model; 0: it does not count
  std::vector<double> room;     // by the model that is used
};

// Any weights make a limit: no GPU holds models that weigh more than the heaviest of all sets that
// fit into it, and a model that is used takes its place on one of them. Memory is counted in steps:
// sizes rounded down and what holds them up, so that nothing that fits is left out.
Limit limit_of(const SwapProblem& problem, std::vector<double> weights) {
  constexpr double kSteps = 4096;
  const double step = std::ranges::max(problem.memory_gb) / kSteps;
  // By memory in steps: what the heaviest set weighs.
  std::vector<double> heaviest(static_cast<std::size_t>(kSteps) + 1);
  for (std::size_t m = 0; m < weights.size(); ++m) {
    const auto size = static_cast<std::size_t>(problem.models[m].vram_gb / step);
    for (std::size_t i = heaviest.size(); weights[m] > 0 && i-- > size;) {
      heaviest[i] = std::max(heaviest[i], heaviest[i - size] + weights[m]);
    }
  }
  const auto holds = [&](double gb) {
    return heaviest[static_cast<std::size_t>(std::clamp(std::ceil(gb / step), 0.0, kSteps))];
  };
  double all = 0;
  for (const double memory : problem.memory_gb) all += holds(memory);
  Limit limit{std::move(weights), {}};
  for (const SwapProblem::Size& used : problem.models) {
    double most = 0;
    for (const double memory : problem.memory_gb) {
      if (used.vram_gb > memory + 1e-9) continue;
      most = std::max(most, all - holds(memory) + holds(memory - used.vram_gb));
    }
    limit.room.push_back(most);
  }
  return limit;
}

bool says_nothing(const Limit& limit) {
  const double all = sum(limit.weights);
  for (std::size_t m = 0; m < limit.weights.size(); ++m) {
    if (all - limit.weights[m] > limit.room[m]) return false;
  }
  return true;
}

std::vector<Limit> limits_of(const SwapProblem& problem) {
  std::vector<Limit> all;
  const auto add = [&](const std::function<double(double vram_gb)>& weigh) {
    std::vector<double> weights;
    for (const SwapProblem::Size& size : problem.models) weights.push_back(weigh(size.vram_gb));
    all.push_back(limit_of(problem, std::move(weights)));
  };
  // Those that are too large for the smaller GPUs share the others' memory.
  std::set<double> smaller(problem.memory_gb.begin(), problem.memory_gb.end());
  smaller.insert(0);
  for (const double none : smaller) add([&](double vram) { return vram > none ? vram : 0; });
  // And what remains beside a large model is of no use for another large one: so many halves and
  // thirds of a size as they have, whole, is what models weigh. (Each counts as that size, so that
  // prices of all limits are alike.)
  std::set<double> sizes;
  for (const SwapProblem::Size& size : problem.models) sizes.insert(size.vram_gb);
  for (const double size : sizes) {
    for (const double part : {size / 2, size / 3}) {
      add([&](double vram) { return std::floor(vram / part + 1e-9) * part; });
    }
  }
  std::erase_if(all, says_nothing);
  return all;
}

// The prices.
//
// Let x be 1 for each gap whose model stays, else 0. A schedule reads at least the first time each
// model is used, and once in each gap with x = 0. At each use and for each limit, the weights of
// those that stay are at most the room. Now let keeping a weight of 1 of a limit over a use cost a
// price of at least 0. A schedule that keeps the limits pays at most the price of the room for
// that; so what it reads is at least
//
//   what it reads, and pays in all its gaps, less the price of all the room
//
// and in each gap it reads or pays, at least the lesser of the two. Any prices give a bound; good
// ones are found by raising each where too much would stay, and lowering it where there is room.
class Prices {
 public:
  explicit Prices(const SwapProblem& problem) : problem_(problem), limits_(limits_of(problem)) {
    std::vector<std::size_t> last(problem.models.size(), kNever);
    for (const ModelIndex model : problem.uses) {
      if (!uses_.empty() && uses_.back() == model) continue;
      if (last[model] == kNever) {
        first_reads_ += problem.models[model].file_gb;
      } else {
        gaps_.push_back({model, last[model], uses_.size()});
      }
      last[model] = uses_.size();
      uses_.push_back(model);
    }
    prices_.assign(limits_.size(), std::vector<double>(uses_.size()));
    trend_ = swing_ = prices_;
    over_.resize(uses_.size());
    before_.assign(limits_.size(), std::vector<double>(uses_.size() + 1));
    stays_.resize(gaps_.size());
    usual_price_ = usual_price();
  }

  double best() {
    constexpr int kMostRounds = 300;  // as many again bring 0.2 %
    // Looks at a price: seconds. Twenty rounds are made in any case: 8 s for 200,000
    // requests.
    constexpr double kWork = 2e9;
    const double each = 3 * static_cast<double>(limits_.size() + 1) *
                        static_cast<double>(uses_.size() + gaps_.size() + 1);
    const int rounds = static_cast<int>(std::clamp(kWork / each, 20.0, double{kMostRounds}));
    double best = bound();
    for (int i = 0; i < rounds && !limits_.empty(); ++i) {
      // Wide steps at first, towards the end ever smaller ones.
      const double left = static_cast<double>(rounds - i) / rounds;
      step(usual_price_ / 2 * std::min(1.0, 2 * left));
      best = std::max(best, bound());
    }
    return best;
  }

 private:
  static constexpr std::size_t kNever = SIZE_MAX;

  double read_gb(const Gap& gap) const { return problem_.models[gap.model].file_gb; }

  double bound() {
    double total = first_reads_;
    for (std::size_t l = 0; l < limits_.size(); ++l) {
      for (std::size_t t = 0; t < uses_.size(); ++t) {
        before_[l][t + 1] = before_[l][t] + prices_[l][t];
        total -= prices_[l][t] * limits_[l].room[uses_[t]];
      }
    }
    for (std::size_t g = 0; g < gaps_.size(); ++g) {
      const Gap& gap = gaps_[g];
      double pays = 0;
      for (std::size_t l = 0; l < limits_.size(); ++l) {
        pays +=
            limits_[l].weights[gap.model] * (before_[l][gap.before] - before_[l][gap.after + 1]);
      }
      stays_[g] = pays < read_gb(gap);
      total += std::min(pays, read_gb(gap));
    }
    return total;
  }

  // At which keeping a model over a usual gap costs what reading it does.
  double usual_price() const {
    double read = 0;
    double kept = 0;
    for (const Gap& gap : gaps_) {
      read += read_gb(gap);
      kept += problem_.models[gap.model].vram_gb * static_cast<double>(gap.before - gap.after);
    }
    return kept == 0 ? 0 : read / kept;
  }

  // Each price is moved by what lately stayed too much there, or too little, in the mean, measured
  // by how far that swung (Adam; Kingma and Ba, 2015): one length for all prices is too short for
  // most and too long for some, and after ten times as many steps still further from the best.
  void step(double length) {
    constexpr double kTrend = 0.9;
    constexpr double kSwing = 0.99;
    for (std::size_t l = 0; l < limits_.size(); ++l) {
      find_excess(l);
      for (std::size_t t = 0; t < uses_.size(); ++t) {
        const double over = over_[t];
        double& trend = trend_[l][t];
        double& swing = swing_[l][t];
        trend = kTrend * trend + (1 - kTrend) * over;
        swing = kSwing * swing + (1 - kSwing) * over * over;
        if (swing == 0) continue;
        prices_[l][t] = std::max(0.0, prices_[l][t] + length * trend / std::sqrt(swing));
      }
    }
  }

  // What would stay beyond the room, at these prices.
  void find_excess(std::size_t l) {
    const Limit& limit = limits_[l];
    std::ranges::fill(over_, 0);
    for (std::size_t g = 0; g < gaps_.size(); ++g) {
      if (!stays_[g]) continue;
      over_[gaps_[g].after + 1] += limit.weights[gaps_[g].model];
      over_[gaps_[g].before] -= limit.weights[gaps_[g].model];
    }
    double staying = 0;
    for (std::size_t t = 0; t < uses_.size(); ++t) {
      staying += over_[t];
      over_[t] = staying - limit.room[uses_[t]];
      // Where nothing costs anything and there is room, all is well.
      if (prices_[l][t] == 0 && over_[t] < 0) over_[t] = 0;
    }
  }

  const SwapProblem& problem_;
  std::vector<Limit> limits_;
  std::vector<ModelIndex> uses_;  // without repetitions
  std::vector<Gap> gaps_;
  double first_reads_ = 0;
  std::vector<std::vector<double>> prices_;  // by limit, then by use
  std::vector<double> over_;                 // what would stay beyond the room of one limit, by use
  std::vector<std::vector<double>> trend_;   // of that, in the mean of the last steps; by limit
  std::vector<std::vector<double>> swing_;   // and of its squares
  std::vector<std::vector<double>> before_;  // sums of prices
  std::vector<char> stays_;                  // by gap
  double usual_price_ = 0;
};

}  // namespace

SwapProblem swap_problem(const Fleet& fleet, const Workload& workload) {
  SwapProblem problem;
  for (const GpuKind& gpu : fleet.gpus) problem.memory_gb.push_back(gpu.memory_gb * 0.95);
  for (const Model& model : fleet.models)
    problem.models.push_back({model.vram_gb(), model.file_gb});
  std::vector<std::pair<Instant, ModelIndex>> uses;
  for (const Job& job : workload.jobs) uses.emplace_back(job.planned, job.model);
  std::ranges::sort(uses);
  for (const auto& [when, model] : uses) problem.uses.push_back(model);
  return problem;
}

double least_read_gb(const SwapProblem& problem) { return Prices(problem).best(); }

}  // namespace drover::sim
