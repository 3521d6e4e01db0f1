#include "core/picker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

#include "base/rng.h"
#include "core/testing.h"

namespace drover::core {
namespace {

using testing::Asked;
using testing::Script;
using namespace std::chrono_literals;

Settings with(PolicyName policy) {
  Settings settings;
  settings.policy = policy;
  return settings;
}

Filtered reason(const Explanation& why, std::size_t backend) {
  return why.candidates.at(backend).filtered;
}

TEST(Picker, EveryFilterSaysItsReason) {
  Script fleet(7, with(PolicyName::kRoundRobin), 1);
  for (std::uint32_t i = 1; i < 7; ++i) fleet.has(i, {"m"});
  fleet.has(4, {"other"});
  fleet.refuses(1);
  fleet.drain(2, true);
  fleet.refuses(3);
  fleet.pass(2s);
  fleet.answers(3);
  // 3 (in probation) and 5 and 6 get one each; then 3 is on probation, 5 and 6 are full.
  for (int i = 0; i < 3; ++i) ASSERT_NE(fleet.ask("m").at(), -1);
  const Asked asked = fleet.ask(
      {RequestId{99}, testing::ask_for("m"), RetryCause::kInstanceFailed, 1, {BackendId{6}}});
  ASSERT_TRUE(asked.refused);
  const Explanation& why = asked.refused->why;
  EXPECT_EQ(reason(why, 0), Filtered::kUnknown);
  EXPECT_EQ(reason(why, 1), Filtered::kDown);
  EXPECT_EQ(reason(why, 2), Filtered::kDraining);
  EXPECT_EQ(reason(why, 3), Filtered::kProbation);
  EXPECT_EQ(reason(why, 4), Filtered::kNoModel);
  EXPECT_EQ(reason(why, 5), Filtered::kFull);
  EXPECT_EQ(reason(why, 6), Filtered::kTried);
}

TEST(Picker, ReasonsOfMemoryHaveWordsOfTheirOwn) {
  for (const Filtered reason : {Filtered::kTooLarge, Filtered::kReserved, Filtered::kCrowded}) {
    EXPECT_NE(to_string(reason).find("GPU"), std::string_view::npos);
  }
}

TEST(RoundRobin, NineHundredRequestsOverThreeEqualInstances) {
  Script fleet(3, with(PolicyName::kRoundRobin));
  fleet.all_have({"m"});
  std::vector<int> got(3, 0);
  for (int i = 0; i < 900; ++i) {
    const Asked asked = fleet.ask("m");
    ++got[static_cast<std::size_t>(asked.at())];
    fleet.served(asked);
  }
  EXPECT_EQ(got, (std::vector<int>{300, 300, 300}));
}

TEST(RoundRobin, IsFairToEachModelWhateverElseIsAskedFor) {
  Script fleet(3, with(PolicyName::kRoundRobin));
  fleet.has(0, {"all", "first"});
  fleet.has(1, {"all", "two"});
  fleet.has(2, {"all", "two"});
  Rng rng(7);
  std::map<std::string, std::vector<int>> got;
  for (auto& model : {"all", "first", "two"}) got[model].resize(3);
  for (int i = 0; i < 3000; ++i) {
    const std::string model = std::vector<std::string>{"all", "first", "two"}[rng.below(3)];
    const Asked asked = fleet.ask(model);
    ++got[model][static_cast<std::size_t>(asked.at())];
    if (rng.below(4) > 0) fleet.served(asked);
  }
  const auto [low, high] = std::ranges::minmax(got["all"]);
  EXPECT_LE(high - low, 1);
  EXPECT_LE(std::abs(got["two"][1] - got["two"][2]), 1);
  EXPECT_EQ(got["two"][0], 0);
}

TEST(RoundRobin, ManyModelsAskedOnceDoNotAllGoToTheFirst) {
  Script fleet(3, with(PolicyName::kRoundRobin));
  fleet.all_have({"a", "b", "c", "d", "e", "f"});
  std::vector<int> got(3, 0);
  for (const auto& model : {"a", "b", "c", "d", "e", "f"}) {
    ++got[static_cast<std::size_t>(fleet.ask(model).at())];
  }
  EXPECT_EQ(got, (std::vector<int>{2, 2, 2}));
}

TEST(LeastLoaded, UsesTheIdleInstanceThoughTheOtherHasTheModelLoaded) {
  Script fleet(2);
  fleet.all_have({"m"});
  fleet.has_loaded(0, {"m"});
  const Asked first = fleet.ask("m");
  EXPECT_EQ(first.at(), 0) << "equals in load: loaded wins";
  EXPECT_TRUE(first.granted->model_loaded);
  EXPECT_EQ(fleet.ask("m").at(), 1) << "one busy, the other idle: the idle one";
}

TEST(LeastLoaded, KnowsAModelLoadedUnderAnotherNameOfTheSameDigest) {
  Script fleet(2);
  fleet.all_have({"m"});
  auto loaded = std::make_shared<Residency>();
  loaded->emplace_back();
  loaded->back().name = ModelName::canonical("copy-of-m");
  loaded->back().digest = "sha256:m";
  fleet.send(Observed{BackendId{1}, Observed::Kind::kResidency, nullptr, loaded, {}, {}});
  EXPECT_EQ(fleet.ask("m").at(), 1);
}

TEST(LeastLoaded, SpreadsEqualRequestsOverEqualInstances) {
  Script fleet(3);
  fleet.all_have({"m"});
  for (int i = 0; i < 9; ++i) ASSERT_NE(fleet.ask("m").at(), -1);
  for (std::uint32_t i = 0; i < 3; ++i) EXPECT_EQ(fleet.view(i).in_flight, 3U);
}

TEST(LeastLoaded, OneThatFailsFastDoesNotAttractTheLoad) {
  Script fleet(2);
  fleet.all_have({"m"});
  const Asked first = fleet.ask("m");
  EXPECT_EQ(first.at(), 0);
  fleet.failed(first);
  for (int i = 0; i < 5; ++i) {
    const Asked next = fleet.ask("m");
    EXPECT_EQ(next.at(), 1);
    fleet.served(next);
  }
}

TEST(LastResort, LetsOneRequestASecondThroughToHoldersPutOutByRequests) {
  Script fleet(1);
  fleet.has(0, {"m"});
  fleet.failed(fleet.ask("m"));
  fleet.failed(fleet.ask("m"));
  const Asked first = fleet.ask("m");
  ASSERT_TRUE(first.granted);
  EXPECT_TRUE(first.granted->why.last_resort);
  const Asked second = fleet.ask("m");
  ASSERT_TRUE(second.refused);
  EXPECT_EQ(second.kind(), ErrorKind::kUnavailable);
  EXPECT_GE(*second.refused->retry_after, 1s);
  fleet.pass(1s);
  EXPECT_TRUE(fleet.ask("m").granted);
  fleet.served(first);
  EXPECT_EQ(fleet.health(0), HealthState::kUp) << "served: it is well";
}

TEST(LastResort, IsNotForInstancesThatNobodyReaches) {
  for (const bool refused : {true, false}) {
    Script fleet(1);
    fleet.has(0, {"m"});
    fleet.failed(fleet.ask("m"));
    fleet.failed(fleet.ask("m"));
    if (refused) fleet.refuses(0);
    if (!refused) fleet.misses(0);
    if (!refused) fleet.misses(0);
    EXPECT_TRUE(fleet.ask("m").refused);
  }
}

TEST(LastResort, IsNotForRetries) {
  Script fleet(2);
  fleet.all_have({"m"});
  for (int i = 0; i < 4; ++i) fleet.failed(fleet.ask("m"));
  ASSERT_EQ(fleet.health(0), HealthState::kDown);
  ASSERT_EQ(fleet.health(1), HealthState::kDown);
  const Asked last = fleet.ask("m");
  ASSERT_TRUE(last.granted);
  fleet.failed(last);
  const Asked again =
      fleet.retry(last, "m", RetryCause::kInstanceFailed, 1, {last.granted->backend});
  EXPECT_TRUE(again.refused);
}

TEST(LastResort, IsNotNeededWhileAHealthyHolderIsFull) {
  Script fleet(2, {}, 1);
  fleet.all_have({"m"});
  fleet.drain(1, true);
  fleet.failed(fleet.ask("m"));
  fleet.failed(fleet.ask("m"));
  fleet.drain(1, false);
  EXPECT_EQ(fleet.ask("m").at(), 1);
  const Asked next = fleet.ask("m");
  ASSERT_TRUE(next.refused);
  EXPECT_NE(next.message().find("queue full"), std::string::npos) << next.message();
}

TEST(LastResort, ALoneInstanceInProbationServesMoreThanOne) {
  Script fleet(1);
  fleet.has(0, {"m"});
  fleet.refuses(0);
  fleet.pass(2s);
  fleet.answers(0);
  const Asked probation = fleet.ask("m");
  ASSERT_TRUE(probation.granted);
  EXPECT_FALSE(probation.granted->why.last_resort);
  EXPECT_TRUE(fleet.ask("m").granted->why.last_resort);
  EXPECT_TRUE(fleet.ask("m").refused);
}

TEST(Rotation, RemembersABoundedNumberOfModels) {
  Rotation rotation(2);
  for (std::size_t i = 0; i <= Rotation::kMaxModels; ++i) {
    rotation.granted(ModelName::canonical("m" + std::to_string(i)), BackendId{1}, i + 1);
    rotation.granted(ModelName::canonical("kept"), BackendId{0}, i + 1);
  }
  EXPECT_EQ(rotation.of(ModelName::canonical("m0"))[1], 0U);
  EXPECT_EQ(rotation.of(ModelName::canonical("m1000"))[1], 1001U);
  EXPECT_EQ(rotation.of(ModelName::canonical("kept"))[0], Rotation::kMaxModels + 1);
}

TEST(Explanation, ReadsAsOneLine) {
  Script fleet(3);
  fleet.all_have({"m"});
  fleet.has_loaded(1, {"m"});
  fleet.refuses(2);
  const Asked asked = fleet.ask("m");
  EXPECT_EQ(asked.granted->why.to_string(fleet.fleet()),
            "least_loaded chose gpu1; gpu0: 0 under way; gpu1: 0 under way, model loaded; "
            "gpu2: down");
}

TEST(Explanation, SaysCostsInHundredthsOfASecond) {
  Explanation why;
  why.policy = "expected_completion";
  why.chosen = BackendId{0};
  const auto said = [&](float cost_s) {
    why.candidates = {{BackendId{0}, Filtered::kNot, false, 3, cost_s}};
    return why.to_string(FleetView{});
  };
  EXPECT_EQ(said(0), "expected_completion chose ?; ?: 3 under way, 0.00 s");
  EXPECT_EQ(said(0.994F), "expected_completion chose ?; ?: 3 under way, 0.99 s");
  EXPECT_EQ(said(0.996F), "expected_completion chose ?; ?: 3 under way, 1.00 s");
  EXPECT_EQ(said(1234.5F), "expected_completion chose ?; ?: 3 under way, 1234.50 s");
  EXPECT_EQ(said(1e30F), "expected_completion chose ?; ?: 3 under way, 1000000000.00 s");
}

TEST(Explanation, AtItsLongestIsWhole) {
  constexpr auto kMost = std::numeric_limits<std::uint32_t>::max();
  constexpr auto kMostTokens = std::numeric_limits<std::uint64_t>::max();
  constexpr auto kLongest = Filtered::kNotTheOne;
  for (int reason = 0; reason <= static_cast<int>(Filtered::kCrowded); ++reason) {
    ASSERT_LE(to_string(static_cast<Filtered>(reason)).size(), to_string(kLongest).size());
  }
  const std::string words(to_string(kLongest));
  for (const std::uint32_t instances : {1U, 100U}) {
    Explanation why;
    why.policy = "expected_completion";
    why.chosen = BackendId{0};
    why.waited_as = kMost;
    why.priority = Priority::kInteractive;
    why.last_resort = true;
    why.reload = Reload{Reload::Cause::kNumCtx, kMostTokens, kMostTokens};
    FleetView fleet;
    for (std::uint32_t i = 0; i < instances; ++i) {
      auto& each = fleet.backends.emplace_back();
      each.name = std::string(300, 'n');
      why.candidates.push_back({BackendId{0}, kLongest, true, kMost, 1e30F});
    }
    const std::string said = why.to_string(fleet);
    const std::string name(300, 'n');
    const std::string candidate =
        name + ": " + words + ", 4294967295 under way, model loaded, 1000000000.00 s";
    EXPECT_TRUE(said.starts_with(
        "expected_completion as a last resort chose " + name +
        " after waiting as number 4294967295 with priority interactive, which loads the model anew "
        "(num_ctx: 18446744073709551615 to 18446744073709551615 tokens); " +
        candidate))
        << said;
    EXPECT_TRUE(said.ends_with(candidate)) << said;
    EXPECT_EQ(std::ranges::count(said, ';'), instances);
  }
}

}  // namespace
}  // namespace drover::core
