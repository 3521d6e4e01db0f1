// Load-time options of clients, whole: what an instance is asked, and how often it loads.

#include <fmt/format.h>

#include <algorithm>

#include "gateway/sim_world.h"

namespace drover::simtest {
namespace {

WorldOptions lone_instance(core::OptionsRule rule = core::OptionsRule::kNormalise) {
  WorldOptions options;
  options.instances = 1;
  options.fake.vram_bytes = 16'000'000'000;  // so its own context is 4096
  options.core.variants.rule = rule;
  return options;
}

Reply generate(World& world, std::string_view options, std::string_view path = "/api/generate") {
  const std::string body =
      fmt::format(R"({{"model":"llama3.2","prompt":"hi","stream":false{}}})", options);
  const Reply reply = world.done(world.post(path, body)).reply();
  world.pass(3s);  // so that /api/ps is read
  return reply;
}

std::string with_context(int tokens) {
  return fmt::format(R"(,"options":{{"num_ctx":{}}})", tokens);
}

std::uint64_t loads(World& world, std::uint32_t i = 0) { return world.instance(i).counts().loads; }

std::uint64_t counted(World& world, std::string_view cause) {
  std::uint64_t sum = 0;
  for (const auto& [key, count] : world.metrics().reloads()) {
    EXPECT_EQ(key[0], "llama3.2:latest");
    EXPECT_FALSE(key[2].empty());
    if (key[1] == cause) sum += count;
  }
  return sum;
}

TEST(RunnerOptions, AClientThatGrowsCausesAtMostOneLoadPerStep) {
  World world(lone_instance());
  for (const int tokens : {2048, 4096, 8192}) {
    EXPECT_EQ(generate(world, with_context(tokens)).status, 200);
  }
  EXPECT_EQ(loads(world), 2U);
  EXPECT_EQ(counted(world, "num_ctx"), 1U);
  // And never again, whoever asks for what is there.
  for (const int tokens : {2048, 8192, 4096, 8192}) (void)generate(world, with_context(tokens));
  EXPECT_EQ(loads(world), 2U);
  EXPECT_EQ(std::ranges::count(world.log().events, "model reload"), 1);
  EXPECT_NE(world.log().requests[2].at("why").find("loads the model anew (num_ctx: 4096 to 8192"),
            std::string::npos);
  world.expect_nothing_left();
}

TEST(RunnerOptions, AsTheyAreSentEachIsALoad) {
  World world(lone_instance(core::OptionsRule::kPass));
  for (const int tokens : {2048, 4096, 8192, 2048}) (void)generate(world, with_context(tokens));
  EXPECT_EQ(loads(world), 4U);
  EXPECT_EQ(counted(world, "num_ctx"), 3U);
}

TEST(RunnerOptions, WhoNamesNoneIsSentAlongWithWhatIsLoaded) {
  for (const std::string_view options :
       {"", R"(,"options":{})", R"(,"options":null)", R"(,"options":{"seed":1})"}) {
    World world(lone_instance());
    (void)generate(world, "");
    (void)generate(world, with_context(8192));
    EXPECT_EQ(generate(world, options).status, 200) << options;
    EXPECT_EQ(loads(world), 2U) << options;
  }
}

TEST(RunnerOptions, WhatFailedForOneIsNotAskedForInTheNameOfOthers) {
  World world(lone_instance());
  (void)generate(world, "");
  ASSERT_TRUE(world.instance(0).inject(R"({"kind":"error500","variant":"oom","count":3})"));
  EXPECT_NE(generate(world, with_context(65536)).status, 200);
  world.instance(0).clear_faults();
  // Were it taken for loaded, both would be asked to run with 65536.
  EXPECT_EQ(generate(world, with_context(8192)).status, 200);
  EXPECT_EQ(generate(world, with_context(16384)).status, 200);
  EXPECT_EQ(counted(world, "num_ctx"), 2U) << "the one that failed, and 8192 to 16384";
}

// To Ollama these are no context, or the least: each would load the model anew.
TEST(RunnerOptions, AContextThatIsNoneFollowsWhatIsLoadedToo) {
  for (const std::string_view value : {"null", "0", "-1", "0.5", "-1e300"}) {
    World world(lone_instance());
    (void)generate(world, "");
    (void)generate(world, with_context(8192));
    const std::string options = fmt::format(R"(,"options":{{"num_ctx":{},"seed":1}})", value);
    EXPECT_EQ(generate(world, options).status, 200) << value;
    EXPECT_EQ(loads(world), 2U) << value;
    const std::string state = world.instance(0).state_json();
    EXPECT_NE(state.find(R"(\"options\":{\"num_ctx\":8192,\"seed\":1})"), std::string::npos)
        << state;
  }
}

// A client's mistake, which Ollama answers with 500: no instance is worse for it.
TEST(RunnerOptions, AContextOfAnotherTypeIsForTheInstanceToRefuse) {
  World world(lone_instance());
  (void)generate(world, with_context(8192));
  for (int i = 0; i < 3; ++i) {
    const Reply reply = generate(world, R"(,"options":{"num_ctx":"big"})");
    EXPECT_EQ(reply.status, 500);
    EXPECT_EQ(json_text(reply.body, "error"), "option \"num_ctx\" must be of type integer");
  }
  EXPECT_EQ(world.view(0).health, core::HealthState::kUp);
  EXPECT_EQ(world.instance(0).counts().requests, 4U) << "nor was it tried again";
  EXPECT_EQ(loads(world), 1U);
}

TEST(RunnerOptions, NobodyMakesOthersRunWithMoreThanTheLastStep) {
  World world(lone_instance());
  (void)generate(world, with_context(50'000'000));
  (void)generate(world, with_context(2048));
  EXPECT_EQ(loads(world), 1U);
  EXPECT_EQ(world.done(world.get("/api/ps")).reply().body.find("50000000"), std::string::npos);
}

TEST(RunnerOptions, OthersAreLeftOut) {
  World world(lone_instance());
  (void)generate(world, "");
  EXPECT_EQ(generate(world, R"(,"options":{"num_gpu":0,"use_mmap":true,"num_ctx":100})").status,
            200);
  EXPECT_EQ(loads(world), 1U);
}

TEST(KeepAlive, ThatIsShorterThanWhatOthersGetIsNotHeard) {
  for (const std::string_view wish : {"0", "\"10s\"", "1.5", "\"0\""}) {
    World world(lone_instance());
    (void)generate(world, fmt::format(R"(,"keep_alive":{})", wish));
    world.pass(2min);
    EXPECT_NE(world.done(world.get("/api/ps")).reply().body, R"({"models":[]})") << wish;
    EXPECT_NE(world.instance(0).state_json().find(R"(\"keep_alive\":null)"), std::string::npos);
  }
}

TEST(KeepAlive, OfEmbeddingsIsNoOrderToLeave) {
  World world(lone_instance());
  (void)world.done(world.post("/api/embed", R"({"model":"llama3.2","input":"words","keep_alive":0})"))
      .reply();
  world.pass(2min);
  EXPECT_NE(world.done(world.get("/api/ps")).reply().body, R"({"models":[]})");
}

TEST(KeepAlive, MayBeLonger) {
  World world(lone_instance());
  (void)generate(world, R"(,"keep_alive":"1h")");
  world.pass(30min);
  EXPECT_NE(world.done(world.get("/api/ps")).reply().body, R"({"models":[]})");
  world.pass(1h);
  EXPECT_EQ(world.done(world.get("/api/ps")).reply().body, R"({"models":[]})");
}

TEST(KeepAlive, OfAModelThatShallStayIsNotForClientsToSay) {
  WorldOptions options = lone_instance();
  options.gateway.stay_loaded = {ModelName::canonical("llama3.2")};
  options.jobs.wanted = {{"llama3.2", ModelName::canonical("llama3.2"), {}, 1, {}}};
  World world(std::move(options));
  world.pass(1min);
  (void)generate(world, R"(,"keep_alive":"10m")");
  world.pass(12h);
  EXPECT_EQ(loads(world), 1U);
  EXPECT_NE(world.done(world.get("/api/ps")).reply().body, R"({"models":[]})");
}

TEST(RunnerOptions, OfOtherDialectsAreNone) {
  World world(lone_instance());
  (void)generate(world, "");
  const std::string chat =
      R"({"model":"llama3.2","messages":[{"role":"user","content":"hi"}],"options":{"num_ctx":9999}})";
  EXPECT_EQ(world.done(world.post("/v1/chat/completions", chat)).reply().status, 200);
  EXPECT_EQ(loads(world), 1U);
  EXPECT_TRUE(world.metrics().reloads().empty());
}

TEST(RunnerOptions, AreRefusedWhereTheModelSaysSo) {
  WorldOptions options = lone_instance();
  options.core.variants.models[ModelName::canonical("llama3.2")] = core::OptionsRule::kRefuse;
  World world(std::move(options));
  const Reply reply = generate(world, with_context(8192));
  EXPECT_EQ(reply.status, 400);
  EXPECT_NE(reply.body.find("leave out options.num_ctx"), std::string::npos) << reply.body;
  EXPECT_EQ(generate(world, "").status, 200);
  EXPECT_EQ(world.requests_seen(), 1U);
}

TEST(RunnerOptions, OfABodyOnDiskAndOfARetryAreRightToo) {
  WorldOptions options = lone_instance();
  options.instances = 2;
  options.gateway.limits.spill_bytes = 1000;
  options.gateway.limits.body_memory_bytes = 0;
  World world(std::move(options));
  (void)generate(world, with_context(8192));
  const std::string body = fmt::format(
      R"({{"options":{{"num_ctx":2048}},"prompt":"{}","stream":false,"model":"llama3.2"}})",
      std::string(100'000, 'x'));
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(world.instance(0).inject(R"({"kind":"reset","count":1})"));
    EXPECT_EQ(world.done(world.post("/api/generate", body)).reply().status, 200);
    world.pass(3s);
  }
  EXPECT_LE(loads(world, 0), 1U);
  EXPECT_LE(loads(world, 1), 1U);
}

TEST(RunnerOptions, GoWhereAContextThatIsLargeEnoughIsLoaded) {
  WorldOptions options = lone_instance();
  options.instances = 2;
  World world(std::move(options));
  (void)generate(world, "");
  (void)generate(world, with_context(8192));
  const std::uint64_t before = loads(world, 0) + loads(world, 1);
  for (int i = 0; i < 6; ++i) {
    (void)generate(world, with_context(8192));
    (void)generate(world, with_context(5000));
  }
  EXPECT_EQ(loads(world, 0) + loads(world, 1), before);
}

}  // namespace
}  // namespace drover::simtest
