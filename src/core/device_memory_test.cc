#include "core/device_memory.h"

#include <gtest/gtest.h>

#include <string>

#include "core/hall.h"

namespace drover::core {
namespace {

using testing::named;

constexpr std::uint64_t kGb = 1'000'000'000;

Residency loaded(std::string_view model, std::uint64_t bytes) {
  Residency residency = *testing::residency({model});
  residency[0].bytes = residency[0].vram_bytes = bytes;
  return residency;
}

TEST(DeviceMemory, AModelNeedsWhatItTookThereElseTheMostThatItTookAnywhereElseWhatItsFileSays) {
  DeviceMemory memory(testing::gpus(3));
  const std::uint64_t guess = memory.need(BackendId{0}, named("a"), 10 * kGb);
  EXPECT_GT(guess, 11 * kGb);
  memory.looked(BackendId{0}, loaded("a", 13 * kGb));
  memory.looked(BackendId{1}, loaded("a", 14 * kGb));
  EXPECT_EQ(memory.need(BackendId{0}, named("a"), 10 * kGb), 13 * kGb);
  EXPECT_EQ(memory.need(BackendId{2}, named("a"), 10 * kGb), 14 * kGb);
  memory.looked(BackendId{1}, loaded("a", 12 * kGb));
  EXPECT_EQ(memory.need(BackendId{2}, named("a"), 10 * kGb), 13 * kGb) << "it has shrunk";
  EXPECT_EQ(memory.need(BackendId{0}, named("b"), 10 * kGb), guess);
}

TEST(DeviceMemory, AnEntryWithoutASizeSaysNothing) {
  DeviceMemory memory(testing::gpus(1));
  memory.looked(BackendId{0}, loaded("a", 0));
  EXPECT_GT(memory.need(BackendId{0}, named("a"), 10 * kGb), 10 * kGb);
  EXPECT_TRUE(memory.sizes(BackendId{0}).empty());
}

TEST(DeviceMemory, TellsWhatItLearnedOfEachInstance) {
  DeviceMemory memory(testing::gpus(2));
  memory.remember(BackendId{0}, named("b"), 3 * kGb);
  memory.looked(BackendId{0}, loaded("a", 2 * kGb));
  memory.looked(BackendId{1}, loaded("b", 4 * kGb));
  const std::vector<std::pair<ModelName, std::uint64_t>> first = {{named("a"), 2 * kGb},
                                                                  {named("b"), 3 * kGb}};
  EXPECT_EQ(memory.sizes(BackendId{0}), first);
  EXPECT_EQ(memory.sizes(BackendId{1}).size(), 1U);
}

TEST(DeviceMemory, OfTooManyModelsTheFirstByNameIsForgotten) {
  constexpr int kMost = 1024;
  DeviceMemory memory(testing::gpus(2));
  const auto name = [](int number) { return std::to_string(10'000 + number); };
  for (int i = 0; i <= kMost; ++i) memory.looked(BackendId{0}, loaded(name(i), 1 * kGb));
  EXPECT_EQ(memory.sizes(BackendId{0}).size(), static_cast<std::size_t>(kMost));
  EXPECT_GT(memory.need(BackendId{0}, named(name(0)), 10 * kGb), 10 * kGb);
  EXPECT_EQ(memory.need(BackendId{0}, named(name(1)), 10 * kGb), 1 * kGb);
  EXPECT_EQ(memory.need(BackendId{0}, named(name(kMost)), 10 * kGb), 1 * kGb);
  memory.remember(BackendId{1}, named(name(kMost)), 2 * kGb);
  EXPECT_EQ(memory.sizes(BackendId{1}).size(), 1U) << "one that has a place already";
  memory.remember(BackendId{0}, named("one-more"), kGb);
  EXPECT_EQ(memory.sizes(BackendId{0}).size(), static_cast<std::size_t>(kMost));
}

}  // namespace
}  // namespace drover::core
