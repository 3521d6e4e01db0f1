// Models larger than one GPU: where they go, who makes room, who waits, and what is refused.

#include "core/room.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/rng.h"
#include "core/testing.h"

namespace drover::core {
namespace {

using testing::Asked;
using testing::Script;
using namespace std::chrono_literals;

constexpr std::uint64_t kGiB = 1ULL << 30;
constexpr std::uint64_t kGpu = 24 * kGiB;

// gpu0 and gpu1 are pinned to one GPU of 24 GiB each; gpu2 spans both.
std::vector<BackendSpec> two_gpus() {
  std::vector<BackendSpec> all = testing::specs(3);
  for (BackendSpec& spec : all) {
    spec.supervised = true;
    spec.placement = Placement::kPinned;
    spec.gpus = {"GPU-" + std::to_string(spec.id.value)};
  }
  all[2].placement = Placement::kSpanning;
  all[2].gpus = {"GPU-0", "GPU-1"};
  return all;
}

std::shared_ptr<const GpuReport> gpus() {
  auto report = std::make_shared<GpuReport>();
  for (const char* uuid : {"GPU-0", "GPU-1"}) {
    report->gpus.push_back({.uuid = uuid, .memory_total_bytes = kGpu});
  }
  return report;
}

std::shared_ptr<const Catalogue> store() {
  auto all = std::make_shared<Catalogue>();
  const std::pair<std::string_view, std::uint64_t> models[] = {
      {"small", 5 * kGiB}, {"medium", 16 * kGiB}, {"big", 30 * kGiB}, {"huge", 80 * kGiB}};
  for (const auto& [name, bytes] : models) {
    all->push_back({.name = ModelName::canonical(name), .bytes = bytes});
  }
  std::ranges::sort(*all, {}, &InstalledModel::name);
  return all;
}

struct Hall {
  explicit Hall(Settings settings = {}) : fleet(two_gpus(), settings) {
    for (std::uint32_t i = 0; i < 3; ++i) {
      fleet.send(Observed{BackendId{i}, Observed::Kind::kCatalogue, store(), nullptr, {}, {}});
      look(i, {});
    }
    fleet.send(GpusObserved{gpus()});
  }
  void look(std::uint32_t backend, std::vector<std::pair<std::string_view, std::uint64_t>> models) {
    auto list = std::make_shared<Residency>();
    for (const auto& [name, bytes] : models) {
      list->push_back({.name = ModelName::canonical(name), .bytes = bytes, .vram_bytes = bytes});
    }
    fleet.send(Observed{BackendId{backend}, Observed::Kind::kResidency, nullptr, list, {}, {}});
  }
  Script fleet;
};

TEST(Room, WhatFitsOneGpuGoesToAPinnedInstance) {
  Hall hall;
  EXPECT_EQ(hall.fleet.ask("small").at(), 0);
  EXPECT_EQ(hall.fleet.ask("small").at(), 1);
  const Asked third = hall.fleet.ask("medium");
  EXPECT_EQ(third.granted->why.candidates[2].filtered, Filtered::kReserved);
}

TEST(Room, WhatFitsNoSingleGpuGoesToTheSpanningInstance) {
  Hall hall;
  const Asked asked = hall.fleet.ask("big");
  EXPECT_EQ(asked.at(), 2);
  EXPECT_EQ(asked.granted->why.candidates[0].filtered, Filtered::kTooLarge);
}

TEST(Room, WhatFitsNowhereIsRefusedOnceWithSizesAndTheRemedy) {
  Hall hall;
  const Asked asked = hall.fleet.ask("huge");
  ASSERT_TRUE(asked.refused);
  EXPECT_EQ(asked.kind(), ErrorKind::kTooBig);
  EXPECT_FALSE(asked.refused->retry_after);
  EXPECT_EQ(asked.message(),
            "model 'huge' needs about 89.0 GiB of GPU memory, and the most that an instance has is "
            "48.0 GiB: use a smaller quantisation of it, or add a machine with larger GPUs");
}

TEST(Room, TheSizeThatItHadWhenLoadedCountsMoreThanItsFile) {
  Hall hall;
  hall.look(0, {{"medium", 30 * kGiB}});  // a long context
  hall.look(0, {});
  const Asked asked = hall.fleet.ask("medium");
  EXPECT_EQ(asked.at(), 2);
}

TEST(Room, PinnedInstancesUnloadIdleModelsBeforeTheSpanningOneLoads) {
  Hall hall;
  hall.look(0, {{"medium", 18 * kGiB}});
  hall.look(1, {{"small", 6 * kGiB}});
  const Asked big = hall.fleet.ask("big");
  EXPECT_TRUE(big.waits());
  ASSERT_EQ(hall.fleet.unloads().size(), 2U);
  EXPECT_EQ(hall.fleet.unloads()[0].backend, BackendId{0});
  EXPECT_EQ(hall.fleet.unloads()[0].reason, UnloadReason::kRoom);
  hall.look(0, {});
  EXPECT_EQ(hall.fleet.outcome(big).at(), 2);  // 34 GiB beside 6 on the second GPU
}

TEST(Room, RunningRequestsFinishAndNewOnesWait) {
  Hall hall;
  const Asked running = hall.fleet.ask("medium");
  ASSERT_EQ(running.at(), 0);
  hall.look(0, {{"medium", 18 * kGiB}});
  const Asked big = hall.fleet.ask("big");
  EXPECT_TRUE(big.waits());
  EXPECT_TRUE(hall.fleet.unloads().empty());  // it is in use
  const Asked late = hall.fleet.ask("medium");
  EXPECT_TRUE(late.waits());
  hall.fleet.served(running);
  EXPECT_EQ(hall.fleet.unloads().size(), 1U);
  hall.look(0, {});
  EXPECT_EQ(hall.fleet.outcome(big).at(), 2);
  EXPECT_TRUE(hall.fleet.outcome(late).waits());  // now the other way round
  hall.fleet.forget();
  hall.look(2, {{"big", 34 * kGiB}});
  EXPECT_TRUE(hall.fleet.unloads().empty());
  hall.fleet.served(hall.fleet.outcome(big));
  ASSERT_EQ(hall.fleet.unloads().size(), 1U);
  EXPECT_EQ(hall.fleet.unloads()[0].backend, BackendId{2});
  hall.look(2, {});
  EXPECT_GE(hall.fleet.outcome(late).at(), 0);
}

TEST(Room, AModelThatIsBeingLoadedHoldsItsMemoryAlready) {
  Hall hall;
  const Asked first = hall.fleet.ask("medium");
  ASSERT_EQ(first.at(), 0);
  EXPECT_TRUE(hall.fleet.ask("big").waits());
}

TEST(Room, AWaitEndsWithARefusalThatNamesTheReason) {
  Hall hall;
  const Asked running = hall.fleet.ask("medium");
  hall.look(0, {{"medium", 18 * kGiB}});
  const Asked big = hall.fleet.ask("big");
  const Asked late = hall.fleet.ask("medium");
  hall.fleet.pass(2min);
  const Asked done = hall.fleet.outcome(big);
  ASSERT_TRUE(done.refused);
  EXPECT_EQ(done.kind(), ErrorKind::kUnavailable);
  EXPECT_EQ(done.message(),
            "model 'big' needs about 34.0 GiB of GPU memory: GPU memory of gpu2 is in use by "
            "another instance, and it was not made free within 120 s; try again in 30 s");
  EXPECT_TRUE(done.refused->retry_after);
  EXPECT_EQ(hall.fleet.outcome(late).at() >= 0, true);  // the claim has ended with it
  hall.fleet.served(running);
}

TEST(Room, WhoLeavesGivesUpTheClaim) {
  Hall hall;
  const Asked running = hall.fleet.ask("medium");
  hall.look(0, {{"medium", 18 * kGiB}});
  const Asked big = hall.fleet.ask("big");
  EXPECT_TRUE(hall.fleet.ask("small").waits());
  hall.fleet.gone(big);
  EXPECT_GE(hall.fleet.ask("small").at(), 0);
  hall.fleet.served(running);
}

TEST(Room, TheQueueIsBounded) {
  Settings settings;
  settings.max_waiting = 1;
  Hall hall(settings);
  hall.look(0, {{"medium", 18 * kGiB}});
  EXPECT_TRUE(hall.fleet.ask("big").waits());
  const Asked second = hall.fleet.ask("big");
  ASSERT_TRUE(second.refused);
  EXPECT_EQ(second.kind(), ErrorKind::kUnavailable);
}

TEST(Room, ThatAGpuIsSharedIsUnknownOfForeignInstances) {
  Script fleet(2);
  fleet.all_have({"m"});
  EXPECT_GE(fleet.ask("m").at(), 0);
}

// --- properties ---

// Two GPUs, two pinned instances and a spanning one that load and unload as Ollama does, and look
// late; requests of all sizes at random. Its books are the truth that the ledger is checked with.
class Afternoon {
 public:
  explicit Afternoon(std::uint64_t seed) : rng_(seed) {
    for (std::uint32_t i = 0; i < 3; ++i) {
      hall_.fleet.send(
          Observed{BackendId{i}, Observed::Kind::kCatalogue, store(), nullptr, {}, {}});
    }
  }

  void step() {
    time(Duration(static_cast<std::int64_t>(rng_.below(1'500'000'000))));
    switch (rng_.below(6)) {
      case 0:
      case 1:
        return arrive();
      case 2:
      case 3:
        return end_one();
      case 4:
        return look(static_cast<std::uint32_t>(rng_.below(3)));
      default:
        return leave();
    }
  }
  // Everybody who still waits has an answer within the bound.
  void finish() {
    for (int i = 0; i < 200; ++i) {
      time(1s);
      end_one();
      for (std::uint32_t each = 0; each < 3; ++each) look(each);
    }
    EXPECT_TRUE(waiting_.empty()) << waiting_.size() << " wait for ever";
  }
  int grants(std::uint32_t backend) const { return grants_[backend]; }

 private:
  struct Running {
    Asked asked;
    std::string model;
  };

  void time(Duration passed) {
    hall_.fleet.pass(passed);
    take_notice();
  }
  void arrive() {
    static constexpr std::string_view kModels[] = {"small", "medium", "big"};
    const std::string_view model = kModels[rng_.below(std::size(kModels))];
    const Asked asked = hall_.fleet.ask(model);
    waiting_.emplace(asked.request, model);
    take_notice();
  }
  void leave() {
    if (waiting_.empty()) return;
    const RequestId request = waiting_.begin()->first;
    waiting_.erase(request);
    hall_.fleet.send(RequestGone{request});
    take_notice();
  }
  void end_one() {
    if (running_.empty()) return;
    const std::size_t which = rng_.below(running_.size());
    const Running ended = running_[which];
    running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(which));
    hall_.fleet.served(ended.asked);
    take_notice();
  }
  void look(std::uint32_t backend) {
    std::vector<std::pair<std::string_view, std::uint64_t>> list;
    for (const auto& [name, bytes] : loaded_[backend]) list.emplace_back(name, bytes);
    hall_.look(backend, list);
    take_notice();
  }

  // What the effects so far mean for the machine.
  void take_notice() {
    for (const Unload& unload : hall_.fleet.unloads()) {
      const std::uint32_t at = unload.backend.value;
      const bool used = std::ranges::any_of(running_, [&](const Running& each) {
        return each.asked.granted->backend == unload.backend &&
               ModelName::canonical(each.model) == unload.model;
      });
      EXPECT_FALSE(used) << "a model in use is unloaded";
      if (!used) loaded_[at].erase(unload.model.text());
    }
    hall_.fleet.forget();
    for (auto each = waiting_.begin(); each != waiting_.end();) {
      const Asked now = hall_.fleet.outcome(each->first);
      if (now.waits()) {
        ++each;
        continue;
      }
      if (now.granted) load(now, each->second);
      each = waiting_.erase(each);
    }
  }
  // As Ollama: what it has itself makes room first; others' memory is not its to take.
  void load(const Asked& asked, const std::string& model) {
    const std::uint32_t at = asked.granted->backend.value;
    ++grants_[at];
    static const std::map<std::string, std::uint64_t> kSizes = {
        {"small", 6 * kGiB}, {"medium", 18 * kGiB}, {"big", 33 * kGiB}};
    const std::string name = ModelName::canonical(model).text();
    auto& mine = loaded_[at];
    const bool there = mine.contains(name);
    mine[name] = kSizes.at(model);
    if (!there && fullest() > kGpu) mine = {{name, kSizes.at(model)}};
    running_.push_back({asked, model});
    EXPECT_LE(fullest(), kGpu) << "when " << model << " was granted to " << at;
  }
  // Bytes on the GPU that has most.
  std::uint64_t fullest() const {
    std::uint64_t most = 0;
    for (int gpu = 0; gpu < 2; ++gpu) {
      std::uint64_t used = 0;
      for (const auto& [each, bytes] : loaded_[gpu]) used += bytes;
      for (const auto& [each, bytes] : loaded_[2]) used += bytes / 2;
      most = std::max(most, used);
    }
    return most;
  }

  Rng rng_;
  Hall hall_;
  std::map<RequestId, std::string> waiting_;
  std::vector<Running> running_;
  std::map<std::string, std::uint64_t> loaded_[3];
  int grants_[3] = {};
};

TEST(Room, NothingIsGrantedOverTheMemoryOfADeviceAndNobodyWaitsForEver) {
  int pinned = 0;
  int spanning = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Afternoon afternoon(seed);
    for (int i = 0; i < 400 && !::testing::Test::HasFailure(); ++i) afternoon.step();
    afternoon.finish();
    pinned += afternoon.grants(0) + afternoon.grants(1);
    spanning += afternoon.grants(2);
    if (HasFailure()) return;
  }
  EXPECT_GT(pinned, 1000);
  EXPECT_GT(spanning, 500);
}

}  // namespace
}  // namespace drover::core
