#include "load.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "backend.h"
#include "child.h"

namespace drover::bench {
namespace {

struct Running {
  std::uint16_t port = 0;
  Child process;
};

Running backend(const BackendOptions& options) {
  Fd listener = listen_loopback();
  Running running;
  running.port = port_of(listener);
  running.process =
      run_function(allowed_cores(), [&] { run_backend(std::move(listener), options); });
  return running;
}

LoadReport ask(std::uint16_t port, const Question& question, std::uint32_t connections = 3) {
  LoadPlan plan;
  plan.port = port;
  plan.question = question;
  plan.how = HoldLoad{.few = 1, .many = connections};
  return run_load(plan);
}

TEST(Load, EveryAnswerOfTheBackendIsRight) {
  const Running running = backend({});
  for (const ModelPlace place : {ModelPlace::kFirst, ModelPlace::kLast}) {
    const LoadReport report = ask(running.port, {Answer::kDocument, 1024, place});
    EXPECT_EQ(report.wrong, 0U) << report.problem;
    EXPECT_EQ(report.answers, 3U);
  }
}

TEST(Load, ABodyLargerThanEveryBufferArrives) {
  const Running running = backend({});
  const LoadReport report =
      ask(running.port, {Answer::kDocument, 30'000'000, ModelPlace::kLast}, 2);
  EXPECT_EQ(report.wrong, 0U) << report.problem;
  EXPECT_EQ(report.answers, 2U);
}

TEST(Load, StreamsComeWholeAndTheFirstOnesEndAtDifferentTimes) {
  const Running running = backend({.records = 9, .interval_ns = 1'000'000, .staggered = 3});
  LoadPlan plan;
  plan.port = running.port;
  plan.question.answer = Answer::kStream;
  plan.how = HoldLoad{.few = 3, .many = 3, .records = 1000};  // until they end
  const LoadReport report = run_load(plan);
  EXPECT_EQ(report.wrong, 0U) << report.problem;
  EXPECT_EQ(report.answers, 3U);
  EXPECT_EQ(report.records, 1U + 4U + 7U);
}

TEST(Load, NobodyWhoListensIsAWrongAnswer) {
  const LoadReport report = ask(free_port(), {}, 1);
  EXPECT_GT(report.wrong, 0U);
  EXPECT_STREQ(report.problem, "connection refused");
}

TEST(Usage, AProcessTreeHoldsWhatItsProcessesStarted) {
  const Child child = run_function(allowed_cores(), [] {
    const Child grandchild = run_function(allowed_cores(), [] { ::pause(); });
    ::pause();
  });
  std::vector<pid_t> tree;
  const std::uint64_t deadline = now_ns() + 20 * kSecond;
  while (tree.size() < 2 && now_ns() < deadline) tree = process_tree(child.process());
  EXPECT_EQ(tree.size(), 2U);
  EXPECT_GT(resident(tree).all_bytes, resident(tree).largest_bytes);
  EXPECT_GT(resident(tree).largest_bytes, 0U);
}

TEST(Usage, AnothersWorkIsSeenAndOurOwnIsNot) {
  const Child child = run_function(allowed_cores(), [] {
    for (volatile bool forever = true; forever;) {
    }
  });
  const std::vector<pid_t> nobody;
  const OthersTime before = others_time(nobody);
  const std::uint64_t deadline = now_ns() + 20 * kSecond;
  while (cpu_time({child.process()}).ns < kSecond / 20 && now_ns() < deadline) {
  }
  EXPECT_GE(grown(before, others_time(nobody)), kSecond / 20);
  EXPECT_EQ(others_time({child.process()}).count(child.process()), 0U);
}

TEST(Usage, AProcessThatCameLaterCountsWhole) {
  EXPECT_EQ(grown({{1, 100}}, {{1, 130}, {2, 7}}), 37U);
  EXPECT_EQ(grown({{1, 100}, {2, 50}}, {{1, 100}}), 0U);
}

}  // namespace
}  // namespace drover::bench
