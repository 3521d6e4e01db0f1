#include <filesystem>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include "app/verbs.h"

namespace drover::app {
namespace {

using ::testing::HasSubstr;

cli::SimCommand small(std::string scenario) {
  cli::SimCommand command;
  command.scenario = std::move(scenario);
  command.policies = {"least_loaded", "clairvoyant"};
  command.seeds = 2;
  command.requests = 200;
  return command;
}

TEST(Sim, ListsOneScenarioALine) {
  const cli::Printed list = run_sim({});
  EXPECT_EQ(list.exit_code, cli::kDone);
  EXPECT_THAT(list.out, HasSubstr("\nfits-poisson-sessions-one "));
  EXPECT_THAT(list.out, HasSubstr("\ncrash "));
  EXPECT_THAT(list.out, HasSubstr("\nmm4 "));
}

TEST(Sim, AnUnknownScenarioIsToldWhatExists) {
  const cli::Printed refused = run_sim(small("fits-poisson-session-one"));
  EXPECT_EQ(refused.exit_code, cli::kWrongUse);
  EXPECT_THAT(refused.err, HasSubstr("did you mean fits-poisson-sessions-one?"));
  EXPECT_THAT(refused.err, HasSubstr("poisson, gamma, bursts, day, shift"));
  EXPECT_THAT(refused.err,
              HasSubstr("crash, slow-gpu, lost-polls, no-polls, oom-load, stranger, strangers, "
                        "batch, batch-unsaid, pair-one, pair-three, mm1, mm4"));
}

TEST(Sim, AnUnknownPolicyIsToldWhatExists) {
  cli::SimCommand command = small("mm1");
  command.policies = {"afinity"};
  const cli::Printed refused = run_sim(command);
  EXPECT_EQ(refused.exit_code, cli::kWrongUse);
  EXPECT_THAT(refused.err, HasSubstr("did you mean affinity?"));
  EXPECT_THAT(refused.err, HasSubstr("\n  clairvoyant "));
}

TEST(Sim, FindsWhatEachPolicyBears) {
  cli::SimCommand command = small("pair-one");
  command.policies = {"clairvoyant", "random"};
  command.capacity = true;
  command.json_file = ::testing::TempDir() + "drover_sim_capacity.json";
  const cli::Printed found = run_sim(command);
  EXPECT_EQ(found.exit_code, cli::kDone);
  EXPECT_THAT(found.out, HasSubstr("the highest rate with 95 % good answers"));
  EXPECT_THAT(found.out, HasSubstr("% good answers; seeds 1 to 2\n"));
  EXPECT_THAT(found.out, HasSubstr("clairvoyant"));
  EXPECT_THAT(found.out, HasSubstr("x"));

  simdjson::dom::parser parser;
  const simdjson::dom::element json = parser.load(*command.json_file);
  const simdjson::dom::element random = json["policies"].at(1);
  EXPECT_EQ(std::string_view(random["name"]), "random");
  EXPECT_EQ(random["by_seed"]["rate"].get_array().size(), 2U);
  EXPECT_GT(double(random["metrics"]["rate"]["median"]), 0);
  EXPECT_LT(double(random["ratio_to_first"]["rate"]["median"]), 1.2);
  std::filesystem::remove(*command.json_file);
}

TEST(Sim, ComparesTwoPoliciesInAllScenariosThatBeginSo) {
  cli::SimCommand command = small("");
  command.scenario.reset();
  command.matrix = "foreign-pair";
  command.policies = {"random", "two_choices"};
  command.load.reset();
  const cli::Printed all = run_sim(command);
  EXPECT_EQ(all.exit_code, cli::kDone);
  EXPECT_THAT(all.out, HasSubstr("two_choices times random"));
  EXPECT_THAT(all.out, HasSubstr("\nforeign-pair-one    0.5"));
  EXPECT_THAT(all.out, HasSubstr("\nforeign-pair-three  0.9"));
  EXPECT_THAT(all.out, HasSubstr("The worst first token p99: "));
  command.matrix = "nowhere";
  EXPECT_EQ(run_sim(command).exit_code, cli::kWrongUse);
}

TEST(Sim, PrintsATableAndWritesBothFiles) {
  const std::string folder = ::testing::TempDir();
  cli::SimCommand command = small("over-poisson-single-ten");
  command.json_file = folder + "drover_sim.json";
  command.svg_file = folder + "drover_sim.svg";
  command.first_seed = 7;
  const cli::Printed done = run_sim(command);
  EXPECT_EQ(done.exit_code, cli::kDone);
  EXPECT_EQ(done.err, "");
  EXPECT_THAT(done.out, HasSubstr("least_loaded"));
  EXPECT_THAT(done.out, HasSubstr("first token p99, s"));
  EXPECT_THAT(done.out, HasSubstr("200 requests, seeds 7 to 8\n"));

  simdjson::dom::parser parser;
  const simdjson::dom::element json = parser.load(*command.json_file);
  EXPECT_EQ(std::string_view(json["scenario"]), "over-poisson-single-ten");
  EXPECT_EQ(std::int64_t(json["first_seed"]), 7);
  EXPECT_EQ(std::string_view(json["policies"].at(1)["name"]), "clairvoyant");
  EXPECT_EQ(json["policies"].at(1)["by_seed"]["goodput"].get_array().size(), 2U);
  std::stringstream svg;
  svg << std::ifstream(*command.svg_file).rdbuf();
  EXPECT_THAT(svg.str(), HasSubstr("</svg>"));
  std::filesystem::remove(*command.json_file);
  std::filesystem::remove(*command.svg_file);
}

TEST(Sim, SaysWhichFileCannotBeWritten) {
  cli::SimCommand command = small("mm1");
  command.json_file = "/nowhere/at/all.json";
  const cli::Printed failed = run_sim(command);
  EXPECT_EQ(failed.exit_code, cli::kFailed);
  EXPECT_THAT(failed.err, HasSubstr("/nowhere/at/all.json"));
}

TEST(Sim, ReplaysALogAndSaysWhatOneMoreGpuChanges) {
  cli::SimCommand command;
  command.trace_file = ::testing::TempDir() + "drover_sim.log";
  command.policies = {"least_loaded"};
  command.gpus = {"24GB"};
  command.add_gpu = "24GB";
  std::ofstream(*command.trace_file)
      << R"({"ts":"2026-11-23T16:24:05.500Z","level":"info","event":"request","client":"a",)"
      << R"("model":"qwen3:4b","total_ms":500,"prompt_tokens":120,"output_tokens":50})" << "\n";
  const cli::Printed done = run_sim(command);
  EXPECT_EQ(done.exit_code, cli::kDone) << done.err;
  EXPECT_THAT(done.out, HasSubstr("least_loaded + rtx"));
  command.gpus = {"24 apples"};
  EXPECT_THAT(run_sim(command).err, HasSubstr("is no GPU"));
  std::ofstream(*command.trace_file) << "nonsense\n";
  EXPECT_THAT(run_sim(command).err, HasSubstr("line 1: neither Azure LLM"));
  std::filesystem::remove(*command.trace_file);
  EXPECT_THAT(run_sim(command).err, HasSubstr("cannot be read"));
}

}  // namespace
}  // namespace drover::app
