#include "sim/trace.h"

#include <gtest/gtest.h>

#include <array>

#include "sim/experiment.h"

namespace drover::sim {
namespace {

TEST(Trace, ReadsAzure) {
  const auto trace = read_trace(
      "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
      "2023-11-16 18:17:03.9799600,4808,10\r\n"
      "2023-11-16 18:17:04.4799600,110,27\r\n");
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->kind, "Azure LLM");
  ASSERT_EQ(trace->lines.size(), 2U);
  EXPECT_EQ(trace->lines[0].prompt, 4808U);
  EXPECT_EQ(trace->lines[1].output, 27U);
  EXPECT_NEAR(trace->lines[1].at_s, 0.5, 1e-4);
  EXPECT_TRUE(trace->models.empty());
}

TEST(Trace, ReadsAzureOf2024WithItsZone) {
  const auto trace = read_trace(
      "TIMESTAMP,ContextTokens,GeneratedTokens\n"
      "2024-05-10 23:59:59.009930+00:00,2162,5\n"
      "2024-05-11 00:00:01.009930+00:00,2399,6\n");
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_NEAR(trace->lines[1].at_s, 2, 1e-4);
}

TEST(Trace, ReadsBurstGptWithTheModelsByPopularityAndWithoutFailures) {
  const auto trace = read_trace(
      "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log "
      "Type\n"
      "5,1,2.1,GPT-4,472,18,490,Conversation log\n"
      "45,2,3.0,ChatGPT,1087,230,1317,Conversation log\n"
      "118,3,0,ChatGPT,417,0,417,Conversation log\n"
      "119,3,1,ChatGPT,417,276,693,API log\n");
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->kind, "BurstGPT");
  EXPECT_EQ(trace->models, (std::vector<std::string>{"ChatGPT", "GPT-4"}));
  ASSERT_EQ(trace->lines.size(), 3U);
  EXPECT_EQ(trace->skipped, 1U);
  EXPECT_EQ(trace->lines[0].model, 1U);
  EXPECT_EQ(trace->lines[2].at_s, 114);
}

TEST(Trace, ReadsMooncakeAndFindsSharedBeginnings) {
  const auto trace = read_trace(
      R"({"timestamp": 0, "input_length": 1500, "output_length": 30, "hash_ids": [1, 2, 3]}
{"timestamp": 2000, "input_length": 2000, "output_length": 40, "hash_ids": [1, 2, 9, 10]}
{"timestamp": 3000, "input_length": 700, "output_length": 40, "hash_ids": [20, 21]}
)");
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->lines[0].history, 0U);
  EXPECT_EQ(trace->lines[1].history, 1024U);
  EXPECT_EQ(trace->lines[1].session, trace->lines[0].session);
  EXPECT_NE(trace->lines[2].session, trace->lines[0].session);
  EXPECT_EQ(trace->lines[2].at_s, 3);
}

constexpr std::string_view kLog =
    R"({"ts":"2026-11-23T16:24:04.000Z","level":"info","event":"instance health","instance":"a"}
{"ts":"2026-11-23T16:24:05.500Z","level":"info","event":"request","id":"1","client":"10.0.0.1","route":"/api/chat","model":"qwen3:4b","instance":"a","status":200,"outcome":"served","retries":0,"queued_ms":0.1,"first_token_ms":60.1,"total_ms":500,"prompt_tokens":120,"output_tokens":50,"failure":"","why":"\"model\":\"no\""}
{"ts":"2026-11-23T16:24:05.900Z","level":"info","event":"request","id":"2","client":"10.0.0.2","route":"/api/chat","model":"llama3:latest","instance":"a","status":200,"outcome":"served","retries":0,"queued_ms":0.1,"first_token_ms":60.1,"total_ms":1900,"prompt_tokens":40,"output_tokens":90,"failure":"","why":""}
{"ts":"2026-11-23T16:24:06.000Z","level":"info","event":"request","id":"3","client":"10.0.0.2","route":"/api/tags","model":"","instance":"","status":200,"outcome":"served","retries":0,"queued_ms":0,"first_token_ms":0,"total_ms":1,"prompt_tokens":0,"output_tokens":0,"failure":"","why":""}
)";

TEST(Trace, ReadsDroversLogByWhenRequestsCame) {
  const auto trace = read_trace(kLog);
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->kind, "drover's log");
  ASSERT_EQ(trace->lines.size(), 2U);
  EXPECT_EQ(trace->skipped, 2U);
  // The second line is of the request that came first: 04.0 and 05.0.
  EXPECT_EQ(trace->lines[0].output, 90U);
  EXPECT_NEAR(trace->lines[1].at_s, 1.0, 1e-3);
  EXPECT_EQ(trace->models.size(), 2U);
  EXPECT_EQ(trace->tenants.size(), 2U);
}

TEST(Trace, NamesTheLineThatIsWrong) {
  const auto broken = read_trace(
      "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9,48,10\nyesterday,1,1\n");
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().message, "line 3: is not like the first one");
  for (const char* text : {"", "hello\n", "a,b,c\n1,2,3\n", "{}\n"}) {
    const auto unknown = read_trace(text);
    ASSERT_FALSE(unknown) << text;
    EXPECT_NE(unknown.error().message.find("BurstGPT"), std::string::npos);
  }
  EXPECT_FALSE(read_trace("TIMESTAMP,ContextTokens,GeneratedTokens\n"));
}

TEST(Trace, ANameTellsTheSizeOfAModel) {
  EXPECT_EQ(model_from_name("qwen3:4b").parameters_b, 4);
  EXPECT_EQ(model_from_name("qwen2.5:0.5b-instruct").parameters_b, 0.5);
  EXPECT_EQ(model_from_name("llama3:latest").parameters_b, 8);
  EXPECT_NEAR(model_from_name("llama3.1:70b").file_gb, 42.7, 0.5);
}

TEST(Trace, AGpuIsItsMemoryOrItsName) {
  EXPECT_EQ(gpu_from_text("24GB")->memory_gb, 24);
  EXPECT_EQ(gpu_from_text("48")->memory_gb, 48);
  EXPECT_EQ(gpu_from_text("rtx3090")->name, "rtx3090");
  EXPECT_FALSE(gpu_from_text("24 apples"));
  EXPECT_FALSE(gpu_from_text("1GB"));
}

TEST(Trace, OneMoreGpuHelpsWhereOneIsTooFew) {
  std::string text = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
  for (int i = 0; i < 300; ++i) {
    text += "2023-11-16 18:" + std::to_string(10 + i / 60) + ":" + (i % 60 < 10 ? "0" : "") +
            std::to_string(i % 60) + ".0,800,200\n";
  }
  const auto trace = read_trace(text);
  ASSERT_TRUE(trace) << trace.error().message;
  Fleet fleet = mixed_fleet(0.9);
  fleet.gpus = {gpu_kind("rtx4090")};
  fleet.hosts = {0};
  fleet.models = {model_from_name("a:8b"), model_from_name("b:14b"), model_from_name("c:8b")};
  Fleet larger = fleet;
  larger.gpus.push_back(gpu_kind("rtx4090"));
  larger.hosts.push_back(0);
  Plan plan;
  for (const Policy& policy : policies()) plan.policies.push_back(&policy);
  plan.seeds = 1;
  const Comparison all = replay(*trace, fleet, {}, plan, [](const std::string&) {});
  EXPECT_EQ(all.columns.size(), policies().size());
  plan.policies = {find_policy("affinity")};
  plan.seeds = 2;
  const Comparison both = replay(*trace, fleet, larger, plan, [](const std::string&) {});
  EXPECT_EQ(both.columns, (std::vector<std::string>{"affinity", "affinity + rtx4090"}));
  EXPECT_LT(both.value(1, Metric::kTtftP50).median, both.value(0, Metric::kTtftP50).median);
  EXPECT_EQ(both.capacity, 0);
  // What has to be read depends on the memory that there is, so each fleet has a bound of its own.
  const std::array fleets = {fleet, larger};
  for (std::size_t column = 0; column < 2; ++column) {
    for (std::uint32_t i = 0; i < plan.seeds; ++i) {
      const Workload workload = workload_from(*trace, fleets[column], plan.first_seed + i);
      const double least = bounds_of(fleets[column], workload).swapped_gb;
      const Metrics& run = both.runs[column][i];
      EXPECT_DOUBLE_EQ(at(run, Metric::kTimesLeast), at(run, Metric::kLoadedGb) / least);
    }
  }
}

}  // namespace
}  // namespace drover::sim
