#include "sim/swap_bound.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/rng.h"
#include "sim/scenario.h"

namespace drover::sim {
namespace {

using Shelf = std::vector<std::uint32_t>;  // by GPU: a bit for each model there

// By trying everything. A load that is put off until its model is used is no worse, and nobody
// leaves but for a load.
class TryEverything {
 public:
  explicit TryEverything(const SwapProblem& problem) : problem_(problem) {}

  double least() {
    std::map<Shelf, double> reached = {{Shelf(problem_.memory_gb.size()), 0}};
    for (const ModelIndex model : problem_.uses) {
      std::map<Shelf, double> next;
      for (const auto& [shelf, read] : reached) use(shelf, read, model, next);
      reached = std::move(next);
    }
    double least = 1e300;
    for (const auto& [shelf, read] : reached) least = std::min(least, read);
    return least;
  }

 private:
  static void keep_lesser(std::map<Shelf, double>& all, const Shelf& shelf, double read) {
    const auto [found, is_new] = all.emplace(shelf, read);
    if (!is_new) found->second = std::min(found->second, read);
  }
  void use(const Shelf& shelf, double read, ModelIndex model, std::map<Shelf, double>& next) {
    const std::uint32_t bit = 1U << model;
    for (const std::uint32_t there : shelf) {
      if ((there & bit) != 0) return keep_lesser(next, shelf, read);
    }
    for (std::size_t gpu = 0; gpu < shelf.size(); ++gpu) {
      // Each part of what is there may stay.
      for (std::uint32_t stay = shelf[gpu];; stay = (stay - 1) & shelf[gpu]) {
        if (vram_gb(stay | bit) <= problem_.memory_gb[gpu]) {
          Shelf then = shelf;
          then[gpu] = stay | bit;
          keep_lesser(next, then, read + problem_.models[model].file_gb);
        }
        if (stay == 0) break;
      }
    }
  }
  double vram_gb(std::uint32_t models) const {
    double total = 0;
    for (std::size_t m = 0; m < problem_.models.size(); ++m) {
      if ((models >> m & 1U) != 0) total += problem_.models[m].vram_gb;
    }
    return total;
  }

  const SwapProblem& problem_;
};

SwapProblem random_problem(Rng& rng) {
  SwapProblem problem;
  const std::size_t gpus = 1 + rng.below(3);
  for (std::size_t i = 0; i < gpus; ++i) problem.memory_gb.push_back(double(4 + rng.below(12)));
  const double largest = *std::ranges::max_element(problem.memory_gb);
  const std::size_t models = 2 + rng.below(4);
  for (std::size_t i = 0; i < models; ++i) {
    const double vram = std::min(largest, double(1 + rng.below(14)));
    problem.models.push_back({vram, vram * (0.4 + 0.6 * rng.unit())});
  }
  const std::size_t uses = 4 + rng.below(12);
  for (std::size_t i = 0; i < uses; ++i) {
    problem.uses.push_back(static_cast<ModelIndex>(rng.below(models)));
  }
  return problem;
}

TEST(SwapBound, IsNeverMoreThanTheBestOfAllSchedules) {
  double bounds = 0;
  double optima = 0;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    Rng rng(seed);
    const SwapProblem problem = random_problem(rng);
    const double bound = least_read_gb(problem);
    const double best = TryEverything(problem).least();
    ASSERT_LE(bound, best + 1e-6) << "seed " << seed;
    bounds += bound;
    optima += best;
  }
  EXPECT_GT(bounds, 0.98 * optima);  // and it is worth something
}

TEST(SwapBound, CountsEachTurnOfTwoModelsThatOnlyOneGpuCanHold) {
  // Together the two have less than all the memory, and still cannot be loaded at once.
  SwapProblem problem{.memory_gb = {76, 23, 23}, .models = {{50, 40}, {50, 40}}, .uses = {}};
  for (ModelIndex i = 0; i < 10; ++i) problem.uses.push_back(i % 2);
  EXPECT_NEAR(least_read_gb(problem), 400, 1);
}

TEST(SwapBound, KeepsNoPartOfAModelThatDoesNotFitBesideTheOther) {
  SwapProblem problem{.memory_gb = {10}, .models = {{7, 7}, {6, 6}}, .uses = {}};
  for (ModelIndex i = 0; i < 10; ++i) problem.uses.push_back(i % 2);
  EXPECT_NEAR(least_read_gb(problem), 65, 0.1);
}

TEST(SwapBound, IsTheFirstReadsWhereEverythingFits) {
  const SwapProblem problem{
      .memory_gb = {10, 10}, .models = {{8, 5}, {8, 6}}, .uses = {0, 1, 0, 1, 1, 0}};
  EXPECT_DOUBLE_EQ(least_read_gb(problem), 11);
}

}  // namespace
}  // namespace drover::sim
