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
      "\"bytes\":10,\"vram_bytes\":8,\"context_length\":4096}]},"
      "{\"name\":\"gpu1\",\"url\":\"http://gpu1:11434\",\"health\":\"down\","
      "\"reason\":\"connection refused\",\"since_seconds\":1.500,\"in_flight\":0,"
      "\"awaiting_first\":0,\"served\":0,\"failed\":0,\"version\":\"\",\"models\":null,"
      "\"loaded\":null}]}\n");
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
