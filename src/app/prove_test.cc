#include <gtest/gtest.h>
#include <simdjson.h>

#include "app/prove_plan.h"
#include "app/prove_report.h"

namespace drover::app {
namespace {

SeenInstance instance(const std::string& name, const std::string& gpu) {
  SeenInstance one;
  one.name = name;
  one.health = "up";
  one.placement = "pinned";
  one.gpus = {gpu};
  one.models = {"llama3.2:latest", "nomic-embed-text:latest"};
  return one;
}

SeenFleet two() {
  return {{"127.0.0.1:11434"}, {instance("gpu0", "GPU-a"), instance("gpu1", "GPU-b")}, {}};
}

std::vector<std::string> names(const ProvePlan& plan) {
  std::vector<std::string> all;
  for (const SeenInstance& one : plan.instances) all.push_back(one.name);
  return all;
}

std::string refusal(const SeenFleet& fleet, const std::optional<std::string>& model = {}) {
  const Result<ProvePlan> plan = plan_proof(fleet, model);
  return plan ? "it was planned" : plan.error().message;
}

TEST(ProvePlan, ReadsAStatus) {
  const Result<SeenFleet> fleet = read_fleet(
      R"({"listen":["127.0.0.1:11434"],"instances":[{"name":"gpu0","url":"http://127.0.0.1:11440",)"
      R"("health":"up","reason":"","in_flight":2,"models":["a","b"],"loaded":[{"name":"a"}],)"
      R"("placement":"pinned","gpus":["GPU-a"],"process":{"pid":17}},)"
      R"({"name":"other","health":"down","reason":"refused","models":null,"loaded":null,)"
      R"("process":null}],)"
      R"("gpus":{"devices":[{"index":1,"uuid":"GPU-a","utilization":0.5},)"
      R"({"index":2,"uuid":"MIG-b","utilization":null}]}})");
  ASSERT_TRUE(fleet.ok());
  ASSERT_EQ(fleet->instances.size(), 2U);
  EXPECT_EQ(fleet->listen, std::vector<std::string>{"127.0.0.1:11434"});
  const SeenInstance& first = fleet->instances[0];
  EXPECT_EQ(first.loaded, std::vector<std::string>{"a"});
  EXPECT_EQ(first.gpus, std::vector<std::string>{"GPU-a"});
  EXPECT_EQ(first.in_flight, 2);
  EXPECT_EQ(first.pid, 17);
  EXPECT_TRUE(first.told_models);
  EXPECT_EQ(fleet->find("other")->health, "down");
  EXPECT_FALSE(fleet->find("other")->told_models);
  ASSERT_EQ(fleet->gpus.size(), 2U);
  EXPECT_EQ(fleet->gpus[0].utilization, 0.5);
  EXPECT_FALSE(fleet->gpus[1].utilization);
  EXPECT_FALSE(read_fleet("Ollama is running").ok());
  EXPECT_FALSE(read_fleet("[]").ok());
}

TEST(ProvePlan, TakesWhatIsLoadedElseWhatMostHold) {
  SeenFleet fleet = two();
  EXPECT_EQ(plan_proof(fleet, {})->model, "llama3.2:latest");
  for (SeenInstance& one : fleet.instances) one.models.emplace_back("qwen3:4b");
  fleet.instances[1].loaded = {"qwen3:4b"};
  EXPECT_EQ(plan_proof(fleet, {})->model, "qwen3:4b");
  EXPECT_EQ(plan_proof(fleet, "Llama3.2")->instances.size(), 2U);
  EXPECT_TRUE(plan_proof(fleet, {})->notes.empty());
}

TEST(ProvePlan, LeavesOutTheInstanceOfAllGpus) {
  SeenFleet fleet = two();
  fleet.instances.push_back(instance("all-gpus", "GPU-a"));
  fleet.instances.back().placement = "spanning";
  fleet.instances.back().loaded = {"llama3.2:latest"};
  const Result<ProvePlan> plan = plan_proof(fleet, {});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(names(*plan), (std::vector<std::string>{"gpu0", "gpu1"}));
  EXPECT_TRUE(plan->notes.empty());
}

TEST(ProvePlan, WhoTakesNoPartIsNamed) {
  SeenFleet fleet = two();
  fleet.instances.push_back(instance("gpu2", "GPU-c"));
  fleet.instances.back().health = "down";
  fleet.instances.back().reason = "connection refused";
  fleet.instances.push_back(instance("gpu3", "GPU-d"));
  fleet.instances.back().models = {};
  const Result<ProvePlan> plan = plan_proof(fleet, {});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->notes,
            (std::vector<std::string>{"gpu2 is down and takes no part: connection refused",
                                      "gpu3 does not have the model and takes no part"}));
}

TEST(ProvePlan, OneInstanceIsNothingToCompare) {
  SeenFleet fleet = two();
  fleet.instances[1].models = {};
  EXPECT_EQ(refusal(fleet),
            "two instances that are up and have llama3.2:latest are needed to compare one with all "
            "(gpu0 has it; gpu1 does not have it); see 'drover status', pull the model where it is "
            "missing, or name another with --model");
  fleet.instances[1].told_models = false;
  fleet.instances[0].health = "down";
  EXPECT_NE(refusal(fleet, "x").find("(gpu0 is down; gpu1 has not told its models yet)"),
            std::string::npos);
  EXPECT_NE(refusal(two(), "nonesuch").find("gpu0 does not have it"), std::string::npos);
  fleet.instances.clear();
  EXPECT_NE(refusal(fleet).find("'ollama pull' one"), std::string::npos);
}

TEST(ProvePlan, OtherLoadIsARefusal) {
  SeenFleet fleet = two();
  fleet.instances[1].in_flight = 3;
  EXPECT_NE(refusal(fleet).find("other requests are under way (gpu1: 3)"), std::string::npos);
}

TEST(ProvePlan, SharedAndUnknownDevicesAreSaid) {
  SeenFleet fleet = two();
  fleet.instances[1].gpus = {"GPU-a"};
  fleet.gpus = {{"GPU-a", 0, 0.4}};
  EXPECT_EQ(plan_proof(fleet, {})->notes,
            (std::vector<std::string>{"gpu0, gpu1 share one device (GPU-a): together they cannot "
                                      "be faster than it is",
                                      "GPU 0 was 40 % busy before the first question"}));
  for (SeenInstance& one : fleet.instances) one.gpus = {};
  fleet.gpus = {};
  EXPECT_EQ(plan_proof(fleet, {})->notes,
            std::vector<std::string>{"gpu0, gpu1 compute on the same CPU"});
  for (SeenInstance& one : fleet.instances) one.placement = "unknown";
  EXPECT_TRUE(plan_proof(fleet, {})->notes.front().starts_with("drover does not run gpu0, gpu1"));
}

Proof measured() {
  Proof proof;
  proof.plan = *plan_proof(two(), {});
  proof.drover = "127.0.0.1:11434";
  proof.one.load.seconds = 20;
  proof.one.load.tokens_per_second = 100;
  proof.one.load.by_instance = {{"", 100}};
  proof.one.load.answers = 31;
  for (int i = 1; i <= 100; ++i) {
    proof.one.load.first_token.push_back(std::chrono::milliseconds(i));
  }
  proof.one.gpus = {{0, 0.98}, {1, 0}};
  proof.all = proof.one;
  proof.all.load.tokens_per_second = 193;
  proof.all.load.by_instance = {{"gpu0", 96}, {"gpu1", 97}};
  proof.all.gpus = {{0, 0.98}, {1, 0.97}};
  return proof;
}

TEST(ProveReport, TeachesInATable) {
  Proof proof = measured();
  judge(proof);
  EXPECT_EQ(
      proof_text(proof),
      "ASKED                       TOKENS/S  FIRST TOKEN  P99      ANSWERS  BUSY\n"
      "gpu0 alone                  100.0     0.050 s      0.099 s  31       GPU 0 98 %, GPU 1 "
      "0 %\n"
      "gpu0 + gpu1 through drover  193.0     0.050 s      0.099 s  31       GPU 0 98 %, GPU 1 "
      "97 %\n"
      "\n"
      "Of the tokens per second of all: gpu0 96.0, gpu1 97.0.\n"
      "1.93x the tokens per second of one instance; 2x would be all that 2 can give.\n");
}

TEST(ProveReport, WhatAnotherInstanceGaveIsNotCounted) {
  Proof proof = measured();
  proof.all.load.tokens_per_second += 50;
  proof.all.load.by_instance["all-gpus"] = 50;
  judge(proof);
  EXPECT_DOUBLE_EQ(ratio(proof), 1.93);
  EXPECT_NE(proof_text(proof).find("note: all-gpus gave 50.0 tokens per second, which are not "
                                   "counted"),
            std::string::npos);
}

TEST(ProveReport, FailuresAreSaidAndSilenceSpoils) {
  Proof proof = measured();
  proof.all.load.failures = 3;
  proof.all.load.last_failure = "reset \x1b";
  proof.one.load = {};
  judge(proof);
  const std::string text = proof_text(proof);
  EXPECT_NE(
      text.find("note: 3 answers of all instances together failed; the last one: reset \\x1b"),
      std::string::npos)
      << text;
  EXPECT_NE(text.find("These numbers do not count: the instance alone gave no token"),
            std::string::npos)
      << text;
}

TEST(ProveReport, JsonSaysTheSame) {
  Proof proof = measured();
  proof.spoiled = {"gpu1 went \"down\""};
  judge(proof);
  simdjson::dom::parser parser;
  const simdjson::dom::element json = parser.parse(proof_json(proof));
  EXPECT_EQ(json["counts"].get_bool().value(), false);
  EXPECT_EQ(json["ratio"].get_double().value(), 1.93);
  EXPECT_EQ(json["one"]["instances"].at(0)["name"].get_string().value(), "gpu0");
  EXPECT_EQ(json["all"]["first_token_seconds"]["p99"].get_double().value(), 0.099);
  EXPECT_EQ(json["all"]["gpus"].at(1)["utilization"].get_double().value(), 0.97);
  EXPECT_EQ(json["spoiled"].at(0).get_string().value(), "gpu1 went \"down\"");
}

}  // namespace
}  // namespace drover::app
