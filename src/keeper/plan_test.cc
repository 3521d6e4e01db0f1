#include "keeper/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace drover::keeper {
namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

Gpu gpu(std::uint32_t index, const std::string& uuid, std::uint64_t memory = 24 * kGiB,
        GpuVendor vendor = GpuVendor::kNvidia) {
  Gpu made;
  made.index = index;
  made.uuid = uuid;
  made.name = "Test";
  made.vendor = vendor;
  made.memory_total_bytes = memory;
  return made;
}

struct Case {
  config::OllamaSettings settings;
  GpuReport gpus;
  ModelStore store{.path = "/models", .largest_bytes = 5 * kGiB};
  std::vector<std::string> taken_names;
  std::set<std::uint16_t> busy_ports;

  Result<Plan> plan() const {
    return make_plan({settings, gpus, store, taken_names,
                      [this](std::uint16_t port) { return !busy_ports.contains(port); }});
  }
};

// The value that an instance sees: the last one wins.
std::string value(const InstancePlan& plan, const std::string& name) {
  std::string found = "(unset)";
  for (const std::string& entry : plan.environment) {
    if (entry.starts_with(name + "=")) found = entry.substr(name.size() + 1);
  }
  return found;
}

std::vector<std::string> names(const Plan& plan) {
  std::vector<std::string> all;
  for (const InstancePlan& each : plan.instances) all.push_back(each.name);
  return all;
}

TEST(Plan, OneInstanceForEachGpuAndOneOverAll) {
  Case c;
  c.gpus.gpus = {gpu(0, "GPU-a"), gpu(1, "GPU-b")};
  const Plan plan = *c.plan();
  EXPECT_EQ(names(plan), (std::vector<std::string>{"gpu0", "gpu1", "all-gpus"}));
  EXPECT_EQ(value(plan.instances[1], "CUDA_VISIBLE_DEVICES"), "GPU-b");
  EXPECT_EQ(value(plan.instances[1], "OLLAMA_HOST"), "127.0.0.1:11441");
  EXPECT_EQ(value(plan.instances[1], "ROCR_VISIBLE_DEVICES"), "-1");
  EXPECT_EQ(value(plan.instances[1], "OLLAMA_VULKAN"), "0");
  EXPECT_EQ(value(plan.instances[1], "OLLAMA_MODELS"), "/models");
  EXPECT_FALSE(plan.instances[1].spanning);
  EXPECT_TRUE(plan.instances[2].spanning);
  EXPECT_EQ(value(plan.instances[2], "CUDA_VISIBLE_DEVICES"), "GPU-a,GPU-b");
  EXPECT_EQ(value(plan.instances[2], "OLLAMA_SCHED_SPREAD"), "1");
  EXPECT_EQ(value(plan.instances[0], "OLLAMA_SCHED_SPREAD"), "(unset)");
}

TEST(Plan, OneGpuNeedsNoSpanningInstance) {
  Case c;
  c.gpus.gpus = {gpu(0, "GPU-a")};
  EXPECT_EQ(names(*c.plan()), std::vector<std::string>{"gpu0"});
  c.gpus.gpus.push_back(gpu(1, "GPU-b"));
  c.settings.spanning = config::Spanning::kNever;
  EXPECT_EQ(names(*c.plan()), (std::vector<std::string>{"gpu0", "gpu1"}));
}

TEST(Plan, WithoutAGpuTheCpuServesAndThatIsSaid) {
  const Case c;
  const Plan plan = *c.plan();
  EXPECT_EQ(names(plan), std::vector<std::string>{"cpu"});
  EXPECT_EQ(value(plan.instances[0], "CUDA_VISIBLE_DEVICES"), "-1");
  EXPECT_EQ(plan.notes.front(), "no GPU was found: one instance runs on the CPU");
}

TEST(Plan, GpusThatCannotServeAreLeftOutAndNamed) {
  Case c;
  c.gpus.gpus = {gpu(0, "GPU-a"), gpu(1, "GPU-b"), gpu(0, "0000:03:00.0", kGiB, GpuVendor::kIntel)};
  c.gpus.gpus[1].condition = GpuCondition::kLost;
  c.gpus.gpus[1].detail = "it fell off the bus";
  const Plan plan = *c.plan();
  EXPECT_EQ(names(plan), std::vector<std::string>{"gpu0"});
  EXPECT_NE(plan.notes[0].find("it fell off the bus"), std::string::npos);
  EXPECT_NE(plan.notes[1].find("Vulkan"), std::string::npos);
}

TEST(Plan, MixedMakersAreKeptApart) {
  Case c;
  c.gpus.gpus = {gpu(0, "GPU-a"), gpu(1, "GPU-b"), gpu(0, "5f3a", 16 * kGiB, GpuVendor::kAmd)};
  const Plan plan = *c.plan();
  ASSERT_EQ(names(plan), (std::vector<std::string>{"gpu0", "gpu1", "gpu2", "all-gpus"}));
  EXPECT_EQ(value(plan.instances[2], "ROCR_VISIBLE_DEVICES"), "GPU-5f3a");
  // A number would be read by ROCm as well.
  EXPECT_EQ(value(plan.instances[2], "CUDA_VISIBLE_DEVICES"), "GPU-none");
  EXPECT_EQ(value(plan.instances[3], "CUDA_VISIBLE_DEVICES"), "GPU-a,GPU-b");
}

TEST(Plan, PortsInUseAreSteppedOverAloud) {
  Case c;
  c.gpus.gpus = {gpu(0, "GPU-a"), gpu(1, "GPU-b")};
  c.settings.spanning = config::Spanning::kNever;
  c.busy_ports = {11440, 11441};
  const Plan plan = *c.plan();
  EXPECT_EQ(plan.instances[0].port, 11442);
  EXPECT_EQ(plan.instances[1].port, 11443);
  EXPECT_EQ(plan.notes.front(), "port 11440 is in use; the next free one is taken");
  for (std::uint16_t port = 11440; port < 11640; ++port) c.busy_ports.insert(port);
  ASSERT_FALSE(c.plan().ok());
  EXPECT_NE(c.plan().error().message.find("ollama.first_port"), std::string::npos);
}

TEST(Plan, WhatTheUserSetsWinsButNotOverThePinning) {
  Case c;
  c.gpus.gpus = {gpu(0, "GPU-a")};
  c.settings.environment = {"OLLAMA_NO_CLOUD=0", "OLLAMA_KEEP_ALIVE=1h"};
  c.settings.instances = {{{"0"}, "big", 12000, {"OLLAMA_KEEP_ALIVE=2h"}}};
  const Plan plan = *c.plan();
  EXPECT_EQ(names(plan), std::vector<std::string>{"big"});
  EXPECT_EQ(plan.instances[0].port, 12000);
  EXPECT_EQ(value(plan.instances[0], "OLLAMA_NO_CLOUD"), "0");
  EXPECT_EQ(value(plan.instances[0], "OLLAMA_KEEP_ALIVE"), "2h");
  EXPECT_EQ(value(plan.instances[0], "CUDA_VISIBLE_DEVICES"), "GPU-a");
}

TEST(Plan, ConfiguredSetsOfGpusAreTakenByUuidIndexOrAddress) {
  Case c;
  c.gpus.gpus = {gpu(0, "GPU-a"), gpu(1, "GPU-b"), gpu(2, "GPU-c")};
  c.gpus.gpus[2].pci = "0000:41:00.0";
  c.settings.instances = {{{"GPU-b", "0"}, "", std::nullopt, {}},
                          {{"0000:41:00.0"}, "", std::nullopt, {}}};
  const Plan plan = *c.plan();
  ASSERT_EQ(names(plan), (std::vector<std::string>{"gpu0", "gpu1", "all-gpus"}));
  EXPECT_EQ(value(plan.instances[0], "CUDA_VISIBLE_DEVICES"), "GPU-b,GPU-a");
  EXPECT_EQ(plan.instances[1].gpus, std::vector<std::string>{"GPU-c"});
}

TEST(Plan, AGpuThatIsNotThereIsRefusedByName) {
  Case c;
  c.gpus.gpus = {gpu(0, "GPU-a")};
  c.settings.instances = {{{"7"}, "", std::nullopt, {}}};
  ASSERT_FALSE(c.plan().ok());
  EXPECT_NE(c.plan().error().message.find("'7'"), std::string::npos);
}

TEST(Plan, NamesOfConfiguredInstancesAreNotTakenAgain) {
  Case c;
  c.gpus.gpus = {gpu(0, "GPU-a")};
  c.taken_names = {"gpu0"};
  EXPECT_EQ(names(*c.plan()), std::vector<std::string>{"gpu0-own"});
}

TEST(Plan, SlotsAndContextFollowTheSmallestGpu) {
  struct Row {
    std::uint64_t memory_gib, model_gib;
    std::uint32_t context, parallel;
  };
  // 4096 tokens of a 5 GiB model are 0.5 GiB; 32768 are 4 GiB.
  for (const Row row : {Row{8, 5, 4096, 2}, Row{12, 5, 4096, 4}, Row{8, 7, 4096, 1},
                        Row{24, 5, 32768, 4}, Row{24, 12, 32768, 1}, Row{80, 5, 262144, 2}}) {
    Case c;
    c.gpus.gpus = {gpu(0, "GPU-a", 80 * kGiB), gpu(1, "GPU-b", row.memory_gib * kGiB)};
    c.store.largest_bytes = row.model_gib * kGiB;
    const Plan plan = *c.plan();
    EXPECT_EQ(plan.context_length, row.context) << row.memory_gib << " " << row.model_gib;
    EXPECT_EQ(plan.parallel, row.parallel) << row.memory_gib << " " << row.model_gib;
    for (const InstancePlan& each : plan.instances) {
      EXPECT_EQ(value(each, "OLLAMA_NUM_PARALLEL"), std::to_string(row.parallel));
      EXPECT_EQ(value(each, "OLLAMA_CONTEXT_LENGTH"), std::to_string(row.context));
    }
  }
}

TEST(Plan, SlotsThatAreConfiguredAreNotGuessed) {
  Case c;
  c.gpus.gpus = {gpu(0, "GPU-a", 8 * kGiB)};
  c.settings.parallel = 16;
  c.settings.context_length = 1000;
  const Plan plan = *c.plan();
  EXPECT_EQ(plan.parallel, 16U);
  EXPECT_EQ(plan.context_length, 1000U);
  EXPECT_TRUE(plan.notes.empty());
}

}  // namespace
}  // namespace drover::keeper
