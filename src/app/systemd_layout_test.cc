#include "app/systemd_layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drover::app {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

Gpu gpu(std::uint32_t index, std::string uuid) {
  Gpu gpu;
  gpu.index = index;
  gpu.uuid = std::move(uuid);
  return gpu;
}

// Two GPUs, the program of Ollama's installer and its user.
MachineFacts two_gpus() {
  MachineFacts facts;
  facts.gpus.gpus = {gpu(0, "GPU-aaaa"), gpu(1, "GPU-bbbb")};
  facts.drover = "/usr/bin/drover";
  facts.home_of = [](const std::string& user) {
    return user == "nobody-here" ? std::nullopt : std::optional("/usr/share/" + user);
  };
  facts.can_execute = [](const std::string& path) { return path == "/usr/local/bin/ollama"; };
  return facts;
}

keeper::SystemdLayout layout_of(const config::Config& config, const MachineFacts& facts) {
  const auto layout = systemd_layout(config, std::nullopt, facts);
  EXPECT_TRUE(layout) << (layout ? "" : layout.error().message);
  return layout ? *layout : keeper::SystemdLayout{};
}

std::string refusal(const config::Config& config, const MachineFacts& facts) {
  const auto layout = systemd_layout(config, std::nullopt, facts);
  return layout ? "" : layout.error().message;
}

TEST(SystemdLayout, EachGpuGetsAnInstanceOfItsOwn) {
  const keeper::SystemdLayout layout = layout_of({}, two_gpus());
  ASSERT_EQ(layout.instances.size(), 2U);
  EXPECT_EQ(layout.instances[0].name, "gpu0");
  EXPECT_EQ(layout.instances[0].gpus, std::vector<std::string>{"GPU-aaaa"});
  EXPECT_EQ(layout.instances[1].name, "gpu1");
  EXPECT_EQ(layout.instances[1].port, 11441);
  EXPECT_EQ(layout.ollama, "/usr/local/bin/ollama");
  EXPECT_EQ(layout.store(), "/usr/share/ollama/.ollama/models");
}

TEST(SystemdLayout, AStateDirectoryOfTheOperatorsIsTaken) {
  config::Config config;
  EXPECT_EQ(layout_of(config, two_gpus()).state_dir, "");
  config.state_dir = "/srv/drover";
  EXPECT_EQ(layout_of(config, two_gpus()).state_dir, "/srv/drover");
}

TEST(SystemdLayout, WithoutGpusOneInstanceIsNotPinned) {
  MachineFacts facts = two_gpus();
  facts.gpus = {};
  const keeper::SystemdLayout layout = layout_of({}, facts);
  ASSERT_EQ(layout.instances.size(), 1U);
  EXPECT_EQ(layout.instances[0].name, "cpu0");
  EXPECT_FALSE(layout.instances[0].vendor);
}

TEST(SystemdLayout, ALostGpuGetsNoInstance) {
  MachineFacts facts = two_gpus();
  facts.gpus.gpus[0].condition = GpuCondition::kLost;
  const keeper::SystemdLayout layout = layout_of({}, facts);
  ASSERT_EQ(layout.instances.size(), 1U);
  EXPECT_EQ(layout.instances[0].gpus, std::vector<std::string>{"GPU-bbbb"});
}

TEST(SystemdLayout, ConfiguredInstancesNameGpusByIndexOrUuid) {
  config::Config config;
  config.ollama.instances = {
      {.gpus = {"1"}, .name = "big", .port = std::uint16_t{12000}},
      {.gpus = {"GPU-0123456789abcdef"}, .environment = {"OLLAMA_NUM_PARALLEL=2"}}};
  config.ollama.environment = {"OLLAMA_KEEP_ALIVE=1h"};
  config.ollama.parallel = 4;
  const keeper::SystemdLayout layout = layout_of(config, two_gpus());
  ASSERT_EQ(layout.instances.size(), 2U);
  EXPECT_EQ(layout.instances[0].name, "big");
  EXPECT_EQ(layout.instances[0].port, 12000);
  EXPECT_EQ(layout.instances[0].gpus, std::vector<std::string>{"GPU-bbbb"});
  EXPECT_EQ(layout.instances[1].vendor, GpuVendor::kAmd);
  EXPECT_EQ(layout.instances[1].port, 11440);
  EXPECT_THAT(layout.instances[1].environment,
              Contains(keeper::Variable{"OLLAMA_KEEP_ALIVE", "1h"}));
  EXPECT_EQ(layout.instances[1].environment.back(), (keeper::Variable{"OLLAMA_NUM_PARALLEL", "2"}));
}

TEST(SystemdLayout, WhatTheOldServiceHadIsKeptButItsAddressAndItsGpus) {
  MachineFacts facts = two_gpus();
  facts.service.found = true;
  facts.service.user = "llm";
  facts.service.program = "/opt/ollama/ollama";
  facts.service.environment = {{"OLLAMA_MODELS", "/data/models"},
                               {"OLLAMA_HOST", "0.0.0.0"},
                               {"CUDA_VISIBLE_DEVICES", "1"},
                               {"OLLAMA_KEEP_ALIVE", "24h"}};
  facts.service.environment_file = "/etc/default/ollama";
  const keeper::SystemdLayout layout = layout_of({}, facts);
  EXPECT_EQ(layout.user, "llm");
  EXPECT_EQ(layout.group, "llm");
  EXPECT_EQ(layout.ollama, "/opt/ollama/ollama");
  EXPECT_EQ(layout.store(), "/data/models");
  EXPECT_EQ(layout.environment_file, "/etc/default/ollama");
  EXPECT_EQ(layout.instances[0].environment,
            (std::vector<keeper::Variable>{{"OLLAMA_KEEP_ALIVE", "24h"}}));
}

TEST(SystemdLayout, TheConfigurationWinsOverTheOldService) {
  MachineFacts facts = two_gpus();
  facts.service.found = true;
  facts.service.environment = {{"OLLAMA_MODELS", "/data/models"}};
  config::Config config;
  config.ollama.models = "/fast/models";
  config.ollama.program = "/opt/new/ollama";
  config.listen = {{"localhost", 9000}};
  const keeper::SystemdLayout layout = layout_of(config, facts);
  EXPECT_EQ(layout.user, "root");  // a unit without User= runs as root
  EXPECT_EQ(layout.store(), "/fast/models");
  EXPECT_EQ(layout.ollama, "/opt/new/ollama");
  EXPECT_EQ(layout.client, std::vector<std::string>{"127.0.0.1:9000"});
}

TEST(SystemdLayout, WhatIsMissingIsSaidWithTheRemedy) {
  MachineFacts facts = two_gpus();
  facts.user = "nobody-here";
  EXPECT_THAT(refusal({}, facts), HasSubstr("there is no user 'nobody-here'"));
  facts = two_gpus();
  facts.can_execute = [](const std::string&) { return false; };
  EXPECT_THAT(refusal({}, facts), HasSubstr("install Ollama, or name the program"));
  config::Config config;
  config.ollama.instances = {{.gpus = {"7"}}};
  EXPECT_EQ(refusal(config, two_gpus()), "no GPU 7 was found; write its UUID in ollama.instances");
}

}  // namespace
}  // namespace drover::app
