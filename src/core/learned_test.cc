// What one scheduler has learned, another one knows.

#include "core/learned.h"

#include <gtest/gtest.h>

#include "core/model_table.h"
#include "core/testing.h"

namespace drover::core {
namespace {

using namespace std::chrono_literals;

// Slow answers of a large model at the first of two instances, told in full.
class School {
 public:
  explicit School(std::vector<BackendSpec> specs, Settings settings = by_cost())
      : specs_(specs), scheduler_(settings, std::move(specs)) {}

  static Settings by_cost() {
    Settings settings;
    settings.policy = PolicyName::kExpectedCompletion;
    return settings;
  }
  static std::vector<BackendSpec> two() {
    std::vector<BackendSpec> specs = testing::specs(2);
    for (BackendSpec& spec : specs) {
      spec.placement = Placement::kPinned;
      spec.gpus = {"GPU-" + std::to_string(spec.id.value)};
    }
    return specs;
  }
  void opens() {
    for (std::uint32_t i = 0; i < specs_.size(); ++i) {
      auto store = std::make_shared<Catalogue>(*testing::catalogue({"a"}));
      store->front().bytes = 8'000'000'000;
      auto shown = std::make_shared<Residency>(*testing::residency({"a"}));
      shown->front().digest = "sha256:a";
      shown->front().bytes = shown->front().vram_bytes = 11'000'000'000;
      feed(Observed{BackendId{i}, Observed::Kind::kCatalogue, store, nullptr, {}, {}});
      feed(Observed{BackendId{i}, Observed::Kind::kResidency, nullptr, shown, {}, {}});
    }
  }
  // Of instance 0 a token takes 0.1 s, of the other 10 ms.
  void lesson(std::uint32_t at) {
    feed(DrainChanged{BackendId{1 - at}, true});
    const Grant grant = ask();
    feed(DrainChanged{BackendId{1 - at}, false});
    const std::int64_t token_ms = at == 0 ? 100 : 10;
    now_ += 100ms;
    feed(LeaseFirstByte{grant.lease});
    now_ += std::chrono::milliseconds(100 * token_ms);
    Usage usage;
    usage.prompt_tokens = 100;
    usage.output_tokens = 100;
    usage.prompt_eval = 100ms;
    usage.eval = std::chrono::milliseconds(100 * token_ms);
    usage.total = usage.prompt_eval + usage.eval;
    feed(LeaseSettled{grant.lease, AttemptResult::kServed, {}, usage});
  }
  Grant ask() {
    RequestArrived request{RequestId{++last_}, testing::ask_for("a")};
    request.ask.body_bytes = 400;
    feed(request);
    return std::get<Grant>(effects_.front());
  }
  std::vector<float> costs() {
    std::vector<float> costs;
    for (const Candidate& each : ask().why.candidates) costs.push_back(each.cost_s);
    return costs;
  }
  Scheduler& scheduler() { return scheduler_; }

 private:
  void feed(const Event& event) {
    effects_.clear();
    scheduler_.handle(event, now_, effects_);
  }

  std::vector<BackendSpec> specs_;
  Scheduler scheduler_;
  Instant now_ = Instant(1000s);
  Effects effects_;
  std::uint64_t last_ = 0;
};

Learned learned_at_school() {
  School school(School::two());
  school.opens();
  for (std::uint32_t i = 0; i < 20; ++i) school.lesson(i % 2);
  return *school.scheduler().learned();
}

TEST(Learned, AnotherLifeKnowsIt) {
  const Learned learned = learned_at_school();
  ASSERT_EQ(learned.models.size(), 1U);
  EXPECT_EQ(learned.models[0].key, "sha256:a");
  EXPECT_EQ(learned.sizes.size(), 2U);
  School next(School::two());
  next.scheduler().remember(learned);
  EXPECT_TRUE(*next.scheduler().learned() == learned);
}

TEST(Learned, TheFirstDecisionIsAsGoodAsTheLast) {
  School first(School::two());
  first.opens();
  for (std::uint32_t i = 0; i < 20; ++i) first.lesson(i % 2);
  const std::vector<float> known = first.costs();
  EXPECT_GT(known[0], 2 * known[1]);

  School next(School::two());
  next.scheduler().remember(*first.scheduler().learned());
  next.opens();
  const std::vector<float> remembered = next.costs();
  EXPECT_NEAR(remembered[0], known[0], 0.1F * known[0]);
  EXPECT_NEAR(remembered[1], known[1], 0.1F * known[1]);

  School fresh(School::two());
  fresh.opens();
  const std::vector<float> guessed = fresh.costs();
  EXPECT_FLOAT_EQ(guessed[0], guessed[1]);
}

TEST(Learned, AnotherGpuBeginsAnew) {
  std::vector<BackendSpec> specs = School::two();
  specs[0].gpus = {"GPU-new"};
  School next(specs);
  next.scheduler().remember(learned_at_school());
  next.opens();
  const std::vector<float> costs = next.costs();
  School same(School::two());
  same.scheduler().remember(learned_at_school());
  same.opens();
  EXPECT_LT(costs[0], 0.7F * same.costs()[0]) << "the slow one is gone";
  const Learned learned = *next.scheduler().learned();
  ASSERT_EQ(learned.models.size(), 1U);
  for (const LearnedPair& pair : learned.models[0].at) EXPECT_NE(pair.instance, "GPU-0");
}

TEST(Learned, IsBoundedByTheTableOfModels) {
  Learned learned = learned_at_school();
  for (int i = 0; i < 3000; ++i) {
    learned.models.push_back(learned.models.front());
    learned.models.back().key = "sha256:" + std::to_string(i);
  }
  School next(School::two());
  next.scheduler().remember(learned);
  EXPECT_EQ(next.scheduler().learned()->models.size(), ModelTable::kMaxModels);
}

TEST(Learned, SumsThatNoSamplesHaveAreNone) {
  Learned learned = learned_at_school();
  LearnedLine& line = learned.models[0].at[0].step;
  line = {2, 1000, 1, 5, 5};
  School next(School::two());
  next.scheduler().remember(learned);
  next.opens();
  for (const float cost : next.costs()) EXPECT_GT(cost, 0);
}

TEST(Learned, OtherPoliciesLearnNothing) {
  School school(School::two(), Settings{});
  school.scheduler().remember(learned_at_school());
  EXPECT_FALSE(school.scheduler().learned().has_value());
}

}  // namespace
}  // namespace drover::core
