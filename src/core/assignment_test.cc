// Who should sit where, made in parts.

#include "core/assignment.h"

#include <gtest/gtest.h>

#include <set>

#include "core/testing.h"

namespace drover::core {
namespace {

using namespace std::chrono_literals;

std::string model_name(std::uint32_t number) { return "model-" + std::to_string(number); }

// Instances with a GPU of 24 GB each; models of 8 GB that all instances list, all in use.
class Town {
 public:
  Town(std::uint32_t gpus, std::uint32_t models) : Town(pinned(gpus), models) {}
  Town(std::vector<BackendSpec> specs, std::uint32_t models)
      : specs_(std::move(specs)), room_(specs_), forecasts_(specs_) {
    GpuReport report;
    auto catalogue = std::make_shared<Catalogue>();
    for (std::uint32_t m = 0; m < models; ++m) {
      InstalledModel entry;
      entry.name = ModelName::canonical(model_name(m));
      entry.digest = "sha256:" + model_name(m);
      entry.bytes = 8'000'000'000;
      catalogue->push_back(std::move(entry));
    }
    std::ranges::sort(*catalogue, {}, &InstalledModel::name);
    for (const BackendSpec& spec : specs_) {
      if (spec.placement == Placement::kPinned) {
        Gpu gpu;
        gpu.uuid = spec.gpus.front();
        gpu.memory_total_bytes = 24'000'000'000;
        report.gpus.push_back(gpu);
      }
      Instance& instance = instances_.emplace_back(spec, Settings());
      instance.catalogue = catalogue;
      instance.health.heard(now_);
    }
    room_.memory().devices(report);
    for (std::uint32_t m = 0; m < models; ++m) {
      const auto index = forecasts_.model_of(instances_, ModelName::canonical(model_name(m)));
      for (std::uint32_t i = 0; i <= m % 3; ++i) forecasts_.arrived(*index, now_);
    }
  }
  // One more, over all GPUs.
  static std::vector<BackendSpec> with_spanning(std::uint32_t gpus) {
    std::vector<BackendSpec> specs = pinned(gpus);
    BackendSpec all = testing::specs(gpus + 1).back();
    all.placement = Placement::kSpanning;
    for (const BackendSpec& spec : specs) all.gpus.push_back(spec.gpus.front());
    specs.push_back(std::move(all));
    return specs;
  }
  Surroundings around() { return {instances_, room_, forecasts_, queue_, now_, shares_}; }
  // Calls until it is done.
  int make(Assignment& assignment) {
    assignment.begin();
    for (int calls = 1;; ++calls) {
      if (assignment.go_on(around())) return calls;
    }
  }

 private:
  static std::vector<BackendSpec> pinned(std::uint32_t count) {
    std::vector<BackendSpec> specs = testing::specs(count);
    for (BackendSpec& spec : specs) {
      spec.placement = Placement::kPinned;
      spec.gpus = {"GPU-" + std::to_string(spec.id.value)};
    }
    return specs;
  }

  std::vector<BackendSpec> specs_;
  std::vector<Instance> instances_;
  Room room_;
  Forecasts forecasts_;
  WaitQueue queue_;
  FairShares shares_;
  Instant now_ = Instant(1000s);
};

TEST(Assignment, EverybodyInUseHasAPlaceWhereThereIsRoomForAll) {
  Town town(4, 8);
  Assignment assignment;
  town.make(assignment);
  std::vector<int> at(4);
  for (ModelIndex model = 0; model < 8; ++model) {
    EXPECT_TRUE(assignment.placed(model)) << model;
    for (std::uint32_t i = 0; i < 4; ++i) at[i] += assignment.has(model, BackendId{i});
  }
  EXPECT_EQ(at, std::vector<int>(4, 2));
}

TEST(Assignment, WhatFitsOneGpuHasNoPlaceAtTheInstanceThatSpansThem) {
  Town town(Town::with_spanning(2), 3);
  Assignment assignment;
  town.make(assignment);
  for (ModelIndex model = 0; model < 3; ++model) {
    EXPECT_TRUE(assignment.placed(model)) << model;
    EXPECT_FALSE(assignment.has(model, BackendId{2})) << model;
  }
}

TEST(Assignment, OfALargeFleetIsMadeInManyShortPartsAndTheOldOneHoldsMeanwhile) {
  Town town(64, 200);
  Assignment assignment;
  const int calls = town.make(assignment);
  // 12,800 pairs of model and instance, at 150 ns each, in parts of 50 us.
  EXPECT_GE(calls, 38);
  EXPECT_LE(calls, 100);
  std::set<ModelIndex> placed;
  for (ModelIndex model = 0; model < 200; ++model) {
    if (assignment.placed(model)) placed.insert(model);
  }
  EXPECT_EQ(placed.size(), 128U);
  assignment.begin();
  EXPECT_FALSE(assignment.go_on(town.around()));
  for (const ModelIndex model : placed) EXPECT_TRUE(assignment.placed(model)) << model;
}

TEST(Assignment, OfASmallFleetIsMadeWithinAFewEvents) {
  Town town(2, 4);
  Assignment assignment;
  EXPECT_EQ(town.make(assignment), 1);
}

}  // namespace
}  // namespace drover::core
