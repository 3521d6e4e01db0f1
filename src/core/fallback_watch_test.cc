// Instances that fell back to the CPU, and those that only look like it.

#include "core/fallback_watch.h"

#include <gtest/gtest.h>

#include "core/testing.h"

namespace drover::core {
namespace {

using testing::Asked;
using testing::Script;
using namespace std::chrono_literals;

constexpr std::uint64_t kGiB = 1ULL << 30;

LoadedModel entry(std::string_view name, std::uint64_t vram, std::uint64_t context = 4096) {
  return {.name = ModelName::canonical(name),
          .bytes = 5 * kGiB,
          .vram_bytes = vram,
          .context_length = context};
}

std::vector<BackendSpec> fleet_of(std::uint32_t count, bool supervised, bool gpus) {
  std::vector<BackendSpec> all = testing::specs(count);
  for (BackendSpec& spec : all) {
    spec.supervised = supervised;
    if (!gpus) continue;
    spec.placement = Placement::kPinned;
    spec.gpus = {"GPU-" + std::to_string(spec.id.value)};
  }
  return all;
}

void look(Script& fleet, std::uint32_t backend, std::vector<LoadedModel> models) {
  auto list = std::make_shared<const Residency>(std::move(models));
  fleet.send(Observed{BackendId{backend}, Observed::Kind::kResidency, nullptr, list, {}, {}});
}

void answers(Script& fleet, int count, double tokens_per_second) {
  for (int i = 0; i < count; ++i) {
    const Asked asked = fleet.ask("m");
    if (asked.at() < 0) return;
    Usage usage;
    usage.output_tokens = 100;
    usage.eval = std::chrono::duration_cast<Duration>(
        std::chrono::duration<double>(100 / tokens_per_second));
    fleet.served(asked, usage);
  }
}

TEST(Fallback, AModelThatLeftTheGpuIsUnloadedAndTheInstanceRestarted) {
  Script fleet(fleet_of(1, true, true));
  fleet.has(0, {"m"});
  fleet.process(0, 1);
  look(fleet, 0, {entry("m", 5 * kGiB)});
  look(fleet, 0, {entry("m", 0)});
  EXPECT_TRUE(fleet.incidents().empty());  // once may be a moment
  look(fleet, 0, {entry("m", 0)});
  ASSERT_EQ(fleet.incidents().size(), 1U);
  EXPECT_EQ(fleet.incidents()[0].detail,
            "fell back to the CPU: model 'm:latest' has 0 of 5120 MiB on the GPU");
  ASSERT_EQ(fleet.unloads().size(), 1U);
  EXPECT_EQ(fleet.unloads()[0].reason, UnloadReason::kCpuFallback);
  ASSERT_EQ(fleet.restarts().size(), 1U);
  EXPECT_EQ(fleet.restarts()[0].cause, RestartCause::kCpuFallback);
  EXPECT_EQ(fleet.health(0), HealthState::kDraining);
}

TEST(Fallback, IsNotRepeatedForTenMinutes) {
  Script fleet(fleet_of(1, true, true));
  fleet.has(0, {"m"});
  fleet.process(0, 1);
  look(fleet, 0, {entry("m", 5 * kGiB)});
  for (int i = 0; i < 10; ++i) look(fleet, 0, {entry("m", 0)});
  EXPECT_EQ(fleet.incidents().size(), 1U);
  fleet.process(0, 2);
  fleet.has(0, {"m"});
  fleet.pass(11min);
  for (int i = 0; i < 10; ++i) look(fleet, 0, {entry("m", 0)});
  EXPECT_EQ(fleet.incidents().size(), 2U);
}

TEST(Fallback, APartOnTheCpuIsExcusedByALongerContextOrByANeighbour) {
  Script fleet(fleet_of(1, true, true));
  fleet.has(0, {"m", "n"});
  look(fleet, 0, {entry("m", 5 * kGiB)});
  for (int i = 0; i < 4; ++i) look(fleet, 0, {entry("m", 4 * kGiB, 131'072)});
  for (int i = 0; i < 4; ++i) look(fleet, 0, {entry("m", 4 * kGiB), entry("n", 5 * kGiB)});
  EXPECT_TRUE(fleet.incidents().empty());
  for (int i = 0; i < 2; ++i) look(fleet, 0, {entry("m", 4 * kGiB)});
  EXPECT_EQ(fleet.incidents().size(), 1U);
}

TEST(Fallback, AnInstanceThatNeverHadAGpuIsNotJudged) {
  Script fleet(fleet_of(1, true, false));
  fleet.has(0, {"m"});
  for (int i = 0; i < 10; ++i) look(fleet, 0, {entry("m", 0)});
  answers(fleet, 30, 50);
  answers(fleet, 10, 1);
  EXPECT_TRUE(fleet.incidents().empty());
}

TEST(Fallback, NothingOnItsGpuWhileOthersHaveAllIsAFallbackFromTheStart) {
  Script fleet(fleet_of(2, true, true));
  fleet.all_have({"m"});
  look(fleet, 0, {entry("m", 5 * kGiB)});
  for (int i = 0; i < 2; ++i) look(fleet, 1, {entry("m", 0)});
  ASSERT_EQ(fleet.incidents().size(), 1U);
  EXPECT_EQ(fleet.incidents()[0].backend, BackendId{1});
}

TEST(Fallback, FiveAnswersAtLessThanAFifthOfTheUsualSpeedAreOne) {
  Script fleet(fleet_of(1, true, true));
  fleet.has(0, {"m"});
  fleet.process(0, 1);
  answers(fleet, 20, 100);
  answers(fleet, 4, 15);
  EXPECT_TRUE(fleet.incidents().empty());
  answers(fleet, 1, 30);  // slow, and not that slow: counted from the start again
  answers(fleet, 4, 15);
  EXPECT_TRUE(fleet.incidents().empty());
  answers(fleet, 1, 15);
  ASSERT_EQ(fleet.incidents().size(), 1U);
  EXPECT_EQ(fleet.incidents()[0].detail,
            "fell back to the CPU: model 'm:latest' makes 15.0 tokens a second instead of 100");
}

// Nobody but the instance knows whether the others compute: strangers may use them.
TEST(Fallback, BesideOtherLoadedModelsAnAnswerHasToBeSlowerStill) {
  Script fleet(fleet_of(1, true, true));
  fleet.has(0, {"m", "n", "o"});
  fleet.process(0, 1);
  answers(fleet, 20, 100);
  look(fleet, 0, {entry("m", 5 * kGiB), entry("n", 5 * kGiB), entry("o", 5 * kGiB)});
  answers(fleet, 10, 8);
  EXPECT_TRUE(fleet.incidents().empty());
  answers(fleet, 5, 5);
  EXPECT_EQ(fleet.incidents().size(), 1U);
}

TEST(Fallback, WhatSharingMayExplainDoesNotBecomeTheNorm) {
  Script fleet(fleet_of(1, true, true));
  fleet.has(0, {"m", "n", "o"});
  fleet.process(0, 1);
  answers(fleet, 20, 100);
  look(fleet, 0, {entry("m", 5 * kGiB), entry("n", 5 * kGiB), entry("o", 5 * kGiB)});
  answers(fleet, 60, 8);
  EXPECT_TRUE(fleet.incidents().empty());
  look(fleet, 0, {entry("m", 5 * kGiB)});
  answers(fleet, 5, 8);
  EXPECT_EQ(fleet.incidents().size(), 1U);
}

TEST(Fallback, SpeedIsNotJudgedBeforeTwentyAnswers) {
  Script fleet(fleet_of(1, true, true));
  fleet.has(0, {"m"});
  answers(fleet, 19, 100);
  answers(fleet, 1, 10);
  answers(fleet, 4, 10);
  EXPECT_TRUE(fleet.incidents().empty());
}

TEST(Fallback, OfAForeignInstanceIsSaidAndItHasToProveItself) {
  Script fleet(fleet_of(1, false, false));
  fleet.has(0, {"m"});
  look(fleet, 0, {entry("m", 5 * kGiB)});
  for (int i = 0; i < 2; ++i) look(fleet, 0, {entry("m", 0)});
  EXPECT_EQ(fleet.incidents().size(), 1U);
  EXPECT_EQ(fleet.unloads().size(), 1U);
  EXPECT_TRUE(fleet.restarts().empty());
  EXPECT_EQ(fleet.health(0), HealthState::kDown);
  fleet.pass_with_checks(4s, {0});
  EXPECT_EQ(fleet.health(0), HealthState::kProbation);
}

}  // namespace
}  // namespace drover::core
