// drover's care for its instances, whole: restarts over the admin side, hung runners, fallbacks to
// the CPU, models larger than one GPU. A small keeper of the test carries out what is ordered.

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "gateway/sim_world.h"

namespace drover::simtest {
namespace {

constexpr std::uint64_t kGb = 1'000'000'000;

WorldOptions supervised(std::uint32_t instances = 2) {
  WorldOptions options;
  options.instances = instances;
  options.spec = [](core::BackendSpec& spec) {
    spec.supervised = true;
    spec.placement = core::Placement::kPinned;
    spec.gpus = {"GPU-" + std::to_string(spec.id.value)};
  };
  return options;
}

// Starts instances anew when it is told to, and reports processes and GPUs every two seconds.
class Keeper {
 public:
  explicit Keeper(World& world, std::uint32_t instances) : world_(world), starts_(instances, 1) {
    world.engine().on_restart([this](const core::RestartInstance& order) {
      orders.push_back(order);
      world_.loop().schedule(world_.now() + 1ms, [this, i = order.backend.value] { start(i); });
    });
    report();
  }
  void pass(Duration time) {
    for (Duration done{}; done < time; done += 2s) {
      world_.pass(2s);
      report();
    }
  }
  std::vector<core::RestartInstance> orders;
  double utilization = 0.0;
  bool obeys = true;

 private:
  void start(std::uint32_t i) {
    if (!obeys) return;
    ++starts_[i];
    pending_.push_back(i);
  }
  void report() {
    for (const std::uint32_t i : std::exchange(pending_, {})) world_.restart(i);
    auto gpus = std::make_shared<GpuReport>();
    for (std::uint32_t i = 0; i < starts_.size(); ++i) {
      world_.engine().observe_process(
          BackendId{i}, {.state = ProcessState::kRunning, .pid = 1, .starts = starts_[i]});
      gpus->gpus.push_back({.uuid = "GPU-" + std::to_string(i),
                            .memory_total_bytes = 24 * kGb,
                            .memory_used_bytes = kGb,
                            .utilization = utilization});
    }
    world_.engine().observe_gpus(std::move(gpus));
    world_.pass(1ms);
  }
  World& world_;
  std::vector<std::uint64_t> starts_;
  std::vector<std::uint32_t> pending_;
};

bool logged(const World& world, std::string_view event) {
  return std::ranges::count(world.log().events, event) > 0;
}

// --- the admin side ---

TEST(AdminInstances, ARestartDrainsMovesAndComesBack) {
  World world(supervised());
  Keeper keeper(world, 2);
  Client& stream = world.chat(400);
  world.pass(1s);
  const std::uint32_t at = world.busy_instance();
  ASSERT_LT(at, 2U);
  const std::string name = "gpu" + std::to_string(at);
  const Reply reply = world.admin("POST", "/api/v1/instances/" + name + "/restart");
  EXPECT_EQ(reply.status, 202) << reply.body;
  EXPECT_NE(reply.body.find("\"starts\":1"), std::string::npos) << reply.body;
  world.pass(10ms);
  EXPECT_EQ(world.view(at).health, core::HealthState::kDraining);
  EXPECT_TRUE(keeper.orders.empty());  // the stream goes on
  Client& other = world.done(world.chat(4));
  EXPECT_EQ(other.reply().field("x-drover-backend"), "gpu" + std::to_string(1 - at));
  world.done(stream);
  EXPECT_EQ(stream.reply().status, 200);
  EXPECT_TRUE(stream.reply().complete);
  keeper.pass(8s);
  ASSERT_EQ(keeper.orders.size(), 1U);
  EXPECT_EQ(world.view(at).health, core::HealthState::kUp);
  EXPECT_FALSE(world.view(at).restarting);
  EXPECT_TRUE(logged(world, "instance restart"));
  EXPECT_EQ(world.metrics().restarts().at({name, "operator"}), 1U);
}

TEST(AdminInstances, DrainAndUndrainAreSeenInTheList) {
  World world(supervised());
  EXPECT_EQ(world.admin("POST", "/api/v1/instances/gpu1/drain").status, 200);
  world.pass(10ms);
  EXPECT_EQ(world.view(1).health, core::HealthState::kDraining);
  const Reply list = world.admin("GET", "/api/v1/instances");
  EXPECT_TRUE(is_json(list.body)) << list.body;
  EXPECT_NE(list.body.find("\"reason\":\"drained by an operator\""), std::string::npos)
      << list.body;
  EXPECT_EQ(world.admin("POST", "/api/v1/instances/gpu1/undrain").status, 200);
  world.pass(10ms);
  EXPECT_EQ(world.view(1).health, core::HealthState::kUp);
}

TEST(AdminInstances, WhatABrowserCouldBeMadeToSendIsRefused) {
  World world(supervised());
  const std::string_view tricks[] = {
      "Origin: http://evil.com\r\n",
      "Origin: null\r\n",
      "Origin: http://localhost:3000\r\n",
      "Sec-Fetch-Site: cross-site\r\n",
      "Sec-Fetch-Site: same-site\r\n",
      "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n",
      "Content-Type: text/plain; charset=utf-8\r\n",
  };
  for (const std::string_view fields : tricks) {
    const Reply reply = world.admin("POST", "/api/v1/instances/gpu0/drain", fields);
    EXPECT_EQ(reply.status, 403) << fields << reply.body;
    EXPECT_EQ(reply.type(), "application/problem+json");
  }
  world.pass(10ms);
  EXPECT_EQ(world.view(0).health, core::HealthState::kUp);
  const Reply own =
      world.admin("POST", "/api/v1/instances/gpu0/drain",
                  "Origin: http://localhost:11436\r\nSec-Fetch-Site: same-origin\r\n");
  EXPECT_EQ(own.status, 200) << own.body;
}

TEST(AdminInstances, WrongNamesMethodsAndNumbersAreExplained) {
  World world(supervised());
  const Reply unknown = world.admin("POST", "/api/v1/instances/gpu9/drain");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_NE(unknown.body.find("there are: gpu0, gpu1"), std::string::npos) << unknown.body;
  EXPECT_EQ(world.admin("POST", "/api/v1/instances/gpu0/explode").status, 404);
  EXPECT_EQ(world.admin("POST", "/api/v1/instances/").status, 404);
  const Reply method = world.admin("GET", "/api/v1/instances/gpu0/drain");
  EXPECT_EQ(method.status, 405);
  EXPECT_EQ(method.field("allow"), "POST");
  EXPECT_EQ(world.admin("POST", "/api/v1/instances").field("allow"), "GET, HEAD");
  for (const char* query : {"grace=x", "grace=-1", "grace=86401", "force=1", "grace="}) {
    const std::string path = std::string("/api/v1/instances/gpu0/restart?") + query;
    EXPECT_EQ(world.admin("POST", path).status, 400) << query;
  }
}

TEST(AdminInstances, AForeignInstanceIsNotRestarted) {
  World world;
  const Reply reply = world.admin("POST", "/api/v1/instances/gpu0/restart");
  EXPECT_EQ(reply.status, 409);
  EXPECT_NE(reply.body.find("run by somebody else"), std::string::npos) << reply.body;
}

// --- hangs ---

TEST(Care, AHungRunnerIsReplacedAndItsRequestsAreServedElsewhere) {
  World world(supervised());
  Keeper keeper(world, 2);
  world.done(world.chat());
  world.done(world.chat());
  keeper.pass(4s);
  ASSERT_TRUE(world.instance(0).inject(R"({"kind":"hang","count":-1})"));
  ASSERT_TRUE(world.instance(1).inject(R"({"kind":"hang","count":-1})"));
  Client& stuck = world.chat(4);
  const Instant began = world.now();
  world.pass(100ms);
  const std::uint32_t at = world.busy_instance();
  ASSERT_LT(at, 2U);
  world.instance(1 - at).clear_faults();
  while (keeper.orders.empty() && world.now() < began + 60s) keeper.pass(2s);
  ASSERT_EQ(keeper.orders.size(), 1U);
  EXPECT_LE(world.now() - began, 30s);
  EXPECT_EQ(keeper.orders[0].backend.value, at);
  EXPECT_EQ(keeper.orders[0].cause, core::RestartCause::kHang);
  world.done(stuck);
  EXPECT_EQ(stuck.reply().status, 200) << stuck.raw();
  EXPECT_EQ(stuck.reply().field("x-drover-backend"), "gpu" + std::to_string(1 - at));
  EXPECT_TRUE(logged(world, "instance hung"));
  EXPECT_EQ(world.metrics().hangs().at("gpu" + std::to_string(at)), 1U);
  keeper.pass(8s);
  EXPECT_EQ(world.view(at).health, core::HealthState::kProbation);
}

TEST(Care, ALongStreamOnABusyGpuIsLeftAlone) {
  World world(supervised(1));
  Keeper keeper(world, 1);
  keeper.utilization = 0.95;
  Client& stream = world.chat(30'000);  // five minutes of it
  keeper.pass(4min);
  EXPECT_TRUE(world.metrics().canaries().empty());
  world.done(stream);
  EXPECT_EQ(stream.reply().status, 200);
  EXPECT_TRUE(keeper.orders.empty());
}

TEST(Care, ACanaryThatSingsClearsTheSuspicion) {
  WorldOptions options = supervised(1);
  options.fake.parallel = 2;
  World world(options);
  Keeper keeper(world, 1);
  world.done(world.chat());
  keeper.pass(4s);
  ASSERT_TRUE(world.instance(0).inject(R"({"kind":"hang","count":1,"match":"/api/chat"})"));
  world.chat(4);
  keeper.pass(40s);
  EXPECT_EQ(world.metrics().canaries().at("gpu0"), 1U);
  EXPECT_TRUE(keeper.orders.empty());
  EXPECT_EQ(world.view(0).health, core::HealthState::kUp);
}

// --- fallbacks ---

TEST(Care, AFallbackToTheCpuIsUnloadedAndRestarted) {
  World world(supervised(1));
  Keeper keeper(world, 1);
  world.done(world.chat());
  keeper.pass(4s);
  ASSERT_TRUE(world.instance(0).inject(R"({"kind":"cpu_fallback"})"));
  keeper.pass(8s);
  ASSERT_EQ(keeper.orders.size(), 1U);
  EXPECT_EQ(keeper.orders[0].cause, core::RestartCause::kCpuFallback);
  EXPECT_TRUE(logged(world, "instance fell back to the cpu"));
  EXPECT_EQ(world.metrics().fallbacks().at("gpu0"), 1U);
  EXPECT_EQ(world.metrics().unloads().at({"gpu0", "cpu_fallback"}), 1U);
}

// --- models larger than one GPU ---

WorldOptions two_gpus_and_a_spanning_one() {
  WorldOptions options = supervised(3);
  options.spec = [](core::BackendSpec& spec) {
    spec.supervised = true;
    const bool spans = spec.id.value == 2;
    spec.placement = spans ? core::Placement::kSpanning : core::Placement::kPinned;
    spec.gpus = {"GPU-" + std::to_string(spec.id.value)};
    if (spans) spec.gpus = {"GPU-0", "GPU-1"};
  };
  options.fake.models = {{.name = "llama3.2:latest", .bytes = 16 * kGb},
                         {.name = "big:latest", .bytes = 32 * kGb},
                         {.name = "huge:latest", .bytes = 90 * kGb}};
  options.fake.vram_bytes = 48 * kGb;
  return options;
}

std::string ask_for(std::string_view model) {
  return R"({"model":")" + std::string(model) + R"(","prompt":"hi","options":{"num_predict":4}})";
}

TEST(Care, ALargeModelWaitsUntilThePinnedInstancesHaveMadeRoom) {
  World world(two_gpus_and_a_spanning_one());
  Keeper keeper(world, 3);
  world.done(world.chat());
  world.done(world.chat());
  keeper.pass(4s);
  Client& big = world.done(world.post("/api/generate", ask_for("big")));
  EXPECT_EQ(big.reply().status, 200) << big.raw();
  EXPECT_EQ(big.reply().field("x-drover-backend"), "gpu2");
  EXPECT_GE(world.metrics().unloads().at({"gpu0", "room"}), 1U);
  keeper.pass(4s);
  EXPECT_TRUE(world.view(0).residency->empty());
  Client& small = world.done(world.chat());  // and the way back
  EXPECT_EQ(small.reply().status, 200) << small.raw();
  EXPECT_NE(small.reply().field("x-drover-backend"), "gpu2");
  EXPECT_EQ(world.metrics().unloads().at({"gpu2", "room"}), 1U);
}

TEST(Care, AModelThatFitsNowhereIsRefusedWithoutATimeToComeBack) {
  World world(two_gpus_and_a_spanning_one());
  Keeper keeper(world, 3);
  keeper.pass(4s);
  Client& huge = world.done(world.post("/api/generate", ask_for("huge")));
  EXPECT_EQ(huge.reply().status, 503);
  EXPECT_EQ(huge.reply().field("retry-after"), "");
  EXPECT_EQ(huge.reply().field("x-should-retry"), "false");
  EXPECT_NE(huge.reply().body.find("smaller quantisation"), std::string::npos) << huge.raw();
}

}  // namespace
}  // namespace drover::simtest
