#include "export/status_json.h"

#include <gtest/gtest.h>

#include "core/testing.h"

namespace drover::exporter {
namespace {

using core::testing::Script;
using namespace std::chrono_literals;

TEST(StatusJson, SaysWhatTheFleetIs) {
  Script fleet(2);
  fleet.has(0, {"Llama3"});
  auto loaded = std::make_shared<core::Residency>();
  loaded->emplace_back();
  loaded->back().name = ModelName::canonical("Llama3");
  loaded->back().bytes = 10;
  loaded->back().vram_bytes = 8;
  loaded->back().context_length = 4096;
  fleet.send(
      core::Observed{BackendId{0}, core::Observed::Kind::kResidency, nullptr, loaded, {}, {}});
  fleet.send(
      core::Observed{BackendId{0}, core::Observed::Kind::kVersion, nullptr, nullptr, "0.30.1", {}});
  fleet.refuses(1);
  const Instant started = fleet.now;
  fleet.pass(1500ms);
  const StatusFacts facts{.version = "0.1.0",
                          .listen = "127.0.0.1:11434, [::1]:11434",
                          .now = fleet.now,
                          .started = started};
  EXPECT_EQ(
      status_json(fleet.fleet(), facts),
      "{\"version\":\"0.1.0\",\"policy\":\"least_loaded\","
      "\"listen\":[\"127.0.0.1:11434\",\"[::1]:11434\"],\"uptime_seconds\":1.500,\"instances\":["
      "{\"name\":\"gpu0\",\"url\":\"http://gpu0:11434\",\"health\":\"up\",\"reason\":\"\","
      "\"since_seconds\":1.500,\"in_flight\":0,\"awaiting_first\":0,\"served\":0,\"failed\":0,"
      "\"version\":\"0.30.1\",\"models\":[\"Llama3\"],\"loaded\":[{\"name\":\"llama3:latest\","
      "\"bytes\":10,\"vram_bytes\":8,\"context_length\":4096}],\"supervised\":false,"
      "\"placement\":\"unknown\",\"gpus\":[],\"process\":null},"
      "{\"name\":\"gpu1\",\"url\":\"http://gpu1:11434\",\"health\":\"down\","
      "\"reason\":\"connection refused\",\"since_seconds\":1.500,\"in_flight\":0,"
      "\"awaiting_first\":0,\"served\":0,\"failed\":0,\"version\":\"\",\"models\":null,"
      "\"loaded\":null,\"supervised\":false,\"placement\":\"unknown\",\"gpus\":[],"
      "\"process\":null}],\"queue\":{\"waiting\":0,\"priorities\":{\"interactive\":0,\"normal\":0,"
      "\"batch\":0},\"bytes\":0,\"lines\":[]},\"drift\":[],"
      "\"gpus\":null}\n");
}

core::BackendView holding(std::string digest) {
  InstalledModel model;
  model.name = ModelName::canonical("llama3");
  model.digest = std::move(digest);
  core::BackendView backend;
  backend.catalogue = std::make_shared<const core::Catalogue>(core::Catalogue{model});
  return backend;
}

TEST(StatusJson, NamesWhatHasDrifted) {
  core::FleetView fleet;
  fleet.backends = {holding("1"), holding("2")};
  EXPECT_NE(status_json(fleet, {}).find("\"drift\":[\"llama3:latest\"]"), std::string::npos);
}

TEST(StatusJson, SaysWhoWaitsForWhatAndForHowLong) {
  core::FleetView fleet;
  fleet.queued = 3;
  fleet.queued_of = {0, 2, 1};
  fleet.queued_bytes = 400;
  fleet.lines.push_back({ModelName::canonical("llama3"), 3, 2500ms});
  const std::string text = status_json(fleet, {});
  EXPECT_NE(text.find("\"queue\":{\"waiting\":3,\"priorities\":{\"interactive\":0,\"normal\":2,"
                      "\"batch\":1},\"bytes\":400,\"lines\":[{\"model\":"
                      "\"llama3:latest\",\"waiting\":3,\"expected_wait_seconds\":2.500}]}"),
            std::string::npos)
      << text;
}

TEST(StatusJson, SaysWhatTheDevicesAreAndWhoUsesThem) {
  core::FleetView fleet;
  fleet.backends.push_back({.id = BackendId{0}, .name = "gpu0", .gpus = {"GPU-a"}});
  fleet.backends.push_back({.id = BackendId{1}, .name = "all", .gpus = {"GPU-a", "GPU-b"}});
  GpuReport report{"nvml 550.54", {{.index = 0, .uuid = "GPU-a"}, {.index = 1, .uuid = "GPU-b"}}};
  Gpu& full = report.gpus[0];
  full.name = "H100";
  full.pci = "0000:3b:00.0";
  full.driver = "550.54";
  full.memory_total_bytes = 80;
  full.memory_used_bytes = 8;
  full.utilization = 0.35;
  full.temperature_celsius = 41;
  full.power_watts = 71.234;
  full.power_limit_watts = 700;
  full.throttle_reasons = {"hw_thermal"};
  full.xid_errors = {{31, 2}, {79, 1}};
  full.processes = {{4711, 8}, {4712, std::nullopt}};
  report.gpus[1].condition = GpuCondition::kLost;
  report.gpus[1].detail = "gone";
  report.problems = {"no \"driver\""};
  fleet.gpus = std::make_shared<const GpuReport>(report);
  const std::string text = status_json(fleet, {.version = "v"});
  EXPECT_NE(
      text.find(
          R"("gpus":{"source":"nvml 550.54","problems":["no \"driver\""],"devices":[)"
          R"({"index":0,"uuid":"GPU-a","name":"H100","vendor":"nvidia","pci":"0000:3b:00.0",)"
          R"("driver":"550.54","mig":"","condition":"well","detail":"","memory_total_bytes":80,)"
          R"("memory_used_bytes":8,"utilization":0.350,"temperature_celsius":41.000,)"
          R"("power_watts":71.234,"power_limit_watts":700.000,"throttle_reasons":["hw_thermal"],)"
          R"("xid_errors":{"31":2,"79":1},"processes":[{"pid":4711,"memory_bytes":8},)"
          R"({"pid":4712,"memory_bytes":null}],"instances":["gpu0","all"]},)"),
      std::string::npos)
      << text;
  EXPECT_NE(text.find(R"("condition":"lost","detail":"gone","memory_total_bytes":null,)"
                      R"("memory_used_bytes":null,"utilization":null,"temperature_celsius":null,)"
                      R"("power_watts":null,"power_limit_watts":null,"throttle_reasons":[],)"
                      R"("xid_errors":{},"processes":null,"instances":["all"]}]}})"),
            std::string::npos)
      << text;
}

TEST(StatusJson, SaysHowTheProcessOfAnInstanceIs) {
  core::FleetView fleet;
  fleet.backends.push_back({.id = BackendId{0}, .name = "gpu0", .supervised = true});
  fleet.backends[0].placement = core::Placement::kPinned;
  fleet.backends[0].gpus = {"GPU-a"};
  InstanceProcess process{.state = ProcessState::kRunning, .pid = 77, .starts = 3};
  process.processes = 2;
  process.cpu = 1500ms;
  process.rss_bytes = 4096;
  process.open_files = 12;
  process.pinned_well = false;
  process.pinning_detail = "runner 78 is elsewhere";
  fleet.backends[0].process = process;
  const std::string text = status_json(fleet, {.version = "v"});
  EXPECT_NE(text.find(R"("supervised":true,"placement":"pinned","gpus":["GPU-a"],"process":)"
                      R"({"state":"running","reason":"","pid":77,"restarts":2,"processes":2,)"
                      R"("cpu_seconds":1.500,"resident_bytes":4096,"open_files":12,)"
                      R"("pinned_well":false,"pinning_detail":"runner 78 is elsewhere"}})"),
            std::string::npos)
      << text;
}

TEST(StatusJson, DevicesAloneAreTheSameText) {
  const GpuReport report{"none", {}, {"the driver is not loaded"}};
  EXPECT_EQ(gpus_json(report),
            "{\"source\":\"none\",\"problems\":[\"the driver is not loaded\"],\"devices\":[]}\n");
}

TEST(StatusJson, EscapesWhatOthersWrote) {
  core::FleetView fleet;
  fleet.policy = "p";
  fleet.backends.push_back({.id = BackendId{0}, .name = "g", .reason = "said \"no\\\" \n\x01"});
  const std::string text = status_json(fleet, {.version = "v"});
  EXPECT_NE(text.find(R"("reason":"said \"no\\\" \u000a\u0001")"), std::string::npos) << text;
}

}  // namespace
}  // namespace drover::exporter
