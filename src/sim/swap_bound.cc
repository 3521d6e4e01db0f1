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

// What is loaded at once keeps this, in every schedule. Weights by model; 0: it does not count.
struct Limit {
  std::vector<double> weights;
  double capacity = 0;
};

double sum(const std::vector<double>& values) {
  double total = 0;
  for (const double each : values) total += each;
  return total;
}

Limit limit_of(const SwapProblem& problem, const std::function<double(double vram_gb)>& weigh,
               const std::function<double(double memory_gb)>& room) {
  Limit limit;
  for (const SwapProblem::Size& size : problem.models) limit.weights.push_back(weigh(size.vram_gb));
  for (const double memory : problem.memory_gb) limit.capacity += room(memory);
  return limit;
}

std::vector<Limit> limits_of(const SwapProblem& problem) {
  std::vector<Limit> all;
  // Those that are too large for the smaller GPUs share the others' memory.
  std::set<double> smaller(problem.memory_gb.begin(), problem.memory_gb.end());
  smaller.insert(0);
  for (const double none : smaller) {
    all.push_back(limit_of(
        problem, [&](double vram) { return vram > none ? vram : 0; },
        [&](double memory) { return memory > none ? memory : 0; }));
  }
  // And of those of at least some size each GPU holds so many, whole. (Each counts as that size, so
  // that prices of all limits are alike.)
  std::set<double> sizes;
  for (const SwapProblem::Size& size : problem.models) sizes.insert(size.vram_gb);
  for (const double size : sizes) {
    all.push_back(limit_of(
        problem, [&](double vram) { return vram >= size ? size : 0; },
        [&](double memory) { return std::floor(memory / size + 1e-9) * size; }));
  }
  std::erase_if(all, [](const Limit& limit) { return sum(limit.weights) <= limit.capacity; });
  return all;
}

// The prices.
//
// Let x be 1 for each gap whose model stays, else 0. A schedule reads at least the first time each
// model is used, and once in each gap with x = 0. At each use and for each limit, the weights of
// those that stay and of the one that is used are at most the capacity. Now let keeping a weight of
// 1 of a limit over a use cost a price of at least 0. A schedule that keeps the limits pays at most
// the price of the capacity for that; so what it reads is at least
//
//   what it reads, and pays in all its gaps, less the price of all the capacity
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
    over_ = prices_;
    before_.assign(limits_.size(), std::vector<double>(uses_.size() + 1));
    stays_.resize(gaps_.size());
  }

  double best() {
    constexpr int kMostRounds = 600;
    constexpr double kWork = 1e9;  // looks at a price, so that a million requests take seconds
    const double each = static_cast<double>(limits_.size() + 1) *
                        static_cast<double>(uses_.size() + gaps_.size() + 1);
    const int rounds = static_cast<int>(std::clamp(kWork / each, 20.0, double{kMostRounds}));
    double best = bound();
    double reach = 0.2;  // how far above the best the next is hoped to be
    int in_vain = 0;
    for (int i = 0; i < rounds && !limits_.empty(); ++i) {
      if (!step((1 + reach) * best)) break;
      const double now = bound();
      in_vain = now > best ? 0 : in_vain + 1;
      best = std::max(best, now);
      if (in_vain < 10) continue;
      reach /= 1.5;
      in_vain = 0;
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
        total -= prices_[l][t] * (limits_[l].capacity - limits_[l].weights[uses_[t]]);
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

  // Nearer to prices that give `wanted`. False: nothing is too much or too little anywhere.
  bool step(double wanted) {
    const double now = bound();
    double squares = 0;
    for (std::size_t l = 0; l < limits_.size(); ++l) {
      const Limit& limit = limits_[l];
      std::vector<double>& over = over_[l];
      std::ranges::fill(over, 0);
      for (std::size_t g = 0; g < gaps_.size(); ++g) {
        if (!stays_[g]) continue;
        over[gaps_[g].after + 1] += limit.weights[gaps_[g].model];
        over[gaps_[g].before] -= limit.weights[gaps_[g].model];
      }
      double staying = 0;
      for (std::size_t t = 0; t < uses_.size(); ++t) {
        staying += over[t];
        over[t] = staying + limit.weights[uses_[t]] - limit.capacity;
        if (prices_[l][t] == 0 && over[t] < 0) over[t] = 0;
        squares += over[t] * over[t];
      }
    }
    if (squares == 0 || wanted <= now) return false;
    const double length = (wanted - now) / squares;
    for (std::size_t l = 0; l < limits_.size(); ++l) {
      for (std::size_t t = 0; t < uses_.size(); ++t) {
        prices_[l][t] = std::max(0.0, prices_[l][t] + length * over_[l][t]);
      }
    }
    return true;
  }

  const SwapProblem& problem_;
  std::vector<Limit> limits_;
  std::vector<ModelIndex> uses_;  // without repetitions
  std::vector<Gap> gaps_;
  double first_reads_ = 0;
  std::vector<std::vector<double>> prices_;  // by limit, then by use
  std::vector<std::vector<double>> over_;    // what would stay beyond the capacity, likewise
  std::vector<std::vector<double>> before_;  // sums of prices
  std::vector<char> stays_;                  // by gap
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
