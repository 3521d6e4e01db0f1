// Hung runners behind a live port, and everything that only looks like one. Time is driven; reports
// of GPUs come every two seconds, as the keeper sends them.

#include "core/hang_watch.h"

#include <gtest/gtest.h>

#include "core/testing.h"

namespace drover::core {
namespace {

using testing::Asked;
using testing::Script;
using namespace std::chrono_literals;

constexpr std::uint64_t kGiB = 1ULL << 30;

std::vector<BackendSpec> pinned(std::uint32_t count) {
  std::vector<BackendSpec> all = testing::specs(count);
  for (BackendSpec& spec : all) {
    spec.supervised = true;
    spec.placement = Placement::kPinned;
    spec.gpus = {"GPU-" + std::to_string(spec.id.value)};
  }
  return all;
}

struct Machine {
  explicit Machine(std::vector<BackendSpec> specs) : fleet(specs), specs(std::move(specs)) {
    fleet.all_have({"m"});
    for (std::uint32_t i = 0; i < this->specs.size(); ++i) {
      if (this->specs[i].supervised) fleet.process(i, 1);
      loaded(i);
    }
    report();
  }

  void loaded(std::uint32_t backend, std::uint64_t vram = 5 * kGiB) {
    auto list = std::make_shared<Residency>();
    list->push_back({.name = ModelName::canonical("m"),
                     .bytes = 5 * kGiB,
                     .vram_bytes = vram,
                     .context_length = 4096});
    fleet.send(Observed{BackendId{backend}, Observed::Kind::kResidency, nullptr, list, {}, {}});
  }
  void report() {
    auto report = std::make_shared<GpuReport>();
    for (const BackendSpec& spec : specs) {
      for (const std::string& uuid : spec.gpus) {
        report->gpus.push_back({.uuid = uuid,
                                .memory_total_bytes = 24 * kGiB,
                                .memory_used_bytes = memory,
                                .utilization = utilization});
      }
    }
    fleet.send(GpusObserved{report});
  }
  // Reports and answered checks every two seconds; what the canary gets, if it is sent.
  void pass(Duration time, bool canary_answers = false) {
    for (Duration done{}; done < time; done += 2s) {
      fleet.pass(2s);
      report();
      for (std::uint32_t i = 0; i < specs.size(); ++i) fleet.answers(i);
      answer_canary(canary_answers);
      if (each_step) each_step();
    }
  }
  void answer_canary(bool answered) {
    while (seen < fleet.canaries().size()) {
      const BackendId backend = fleet.canaries()[seen++].backend;
      if (!answered) fleet.pass(4s);  // its deadline
      fleet.canary(backend.value, answered);
    }
  }
  Asked stream(std::uint64_t body_bytes = 300) {
    RequestArrived arrived{RequestId{++last}, testing::ask_for("m")};
    arrived.ask.streaming = true;
    arrived.ask.body_bytes = body_bytes;
    return fleet.ask(std::move(arrived));
  }

  Script fleet;
  std::vector<BackendSpec> specs;
  std::optional<double> utilization = 0.0;
  std::uint64_t memory = 6 * kGiB;
  std::function<void()> each_step;
  std::size_t seen = 0;
  std::uint64_t last = 1000;
};

TEST(HangWatch, AHungRunnerOnAnIdleGpuIsReplacedWithin30Seconds) {
  Machine machine(pinned(2));
  const Asked asked = machine.stream();
  const Instant began = machine.fleet.now;
  while (machine.fleet.restarts().empty() && machine.fleet.now < began + 60s) machine.pass(2s);
  EXPECT_LE(machine.fleet.now - began, 30s);
  ASSERT_EQ(machine.fleet.restarts().size(), 1U);
  EXPECT_EQ(machine.fleet.restarts()[0].backend.value, static_cast<std::uint32_t>(asked.at()));
  EXPECT_EQ(machine.fleet.restarts()[0].cause, RestartCause::kHang);
  EXPECT_EQ(machine.fleet.health(0), HealthState::kDown);
  EXPECT_EQ(machine.fleet.revoked(), std::vector<LeaseId>{asked.granted->lease});
  ASSERT_EQ(machine.fleet.incidents().size(), 1U);
  EXPECT_NE(machine.fleet.incidents()[0].detail.find("its GPU was idle"), std::string::npos)
      << machine.fleet.incidents()[0].detail;
}

TEST(HangWatch, ARunnerThatHangsInMidAnswerIsReplacedWithin30Seconds) {
  Machine machine(pinned(1));
  const Asked asked = machine.stream();
  machine.fleet.first_byte(asked);
  machine.utilization = 0.9;
  machine.each_step = [&] { machine.fleet.progress(asked); };
  machine.pass(60s);
  EXPECT_TRUE(machine.fleet.canaries().empty());
  machine.each_step = nullptr;
  machine.utilization = 0.0;
  const Instant began = machine.fleet.now;
  while (machine.fleet.restarts().empty() && machine.fleet.now < began + 60s) machine.pass(2s);
  EXPECT_LE(machine.fleet.now - began, 30s);
}

TEST(HangWatch, ABusyGpuIsGivenItsPrefillDeadline) {
  Machine machine(pinned(1));
  machine.utilization = 1.0;
  const std::uint64_t body = 12'000;  // 4,000 tokens: 4000 / 50 * 3 + 5 = 245 s
  machine.stream(body);
  machine.pass(244s);
  EXPECT_TRUE(machine.fleet.canaries().empty());
  machine.pass(4s);
  EXPECT_EQ(machine.fleet.restarts().size(), 1U);
}

TEST(HangWatch, WhatWasMeasuredShortensTheDeadlineButNotBelow20Seconds) {
  Machine machine(pinned(1));
  for (int i = 0; i < 10; ++i) {
    Usage usage;
    usage.prompt_tokens = 3000;
    usage.prompt_eval = 10s;  // 300 tokens a second
    machine.fleet.served(machine.stream(), usage);
  }
  machine.utilization = 1.0;
  machine.stream(12'000);  // 4000 / 300 * 3 + 5 = 45 s
  machine.pass(44s);
  EXPECT_TRUE(machine.fleet.restarts().empty());
  machine.pass(6s);
  EXPECT_EQ(machine.fleet.restarts().size(), 1U);

  Machine other(pinned(1));
  other.utilization = 1.0;
  other.stream(30);
  other.pass(18s);
  EXPECT_TRUE(other.fleet.canaries().empty());
  other.pass(4s);
  EXPECT_EQ(other.fleet.restarts().size(), 1U);
}

TEST(HangWatch, TwoMinutesOfHealthyPrefillAreNotTouchedEvenAfterCachedPrompts) {
  Machine machine(pinned(1));
  for (int i = 0; i < 40; ++i) {
    Usage usage;
    usage.prompt_tokens = 30'000;  // nearly all of it from the cache
    usage.prompt_eval = 1s;
    machine.fleet.served(machine.stream(), usage);
  }
  machine.utilization = 1.0;
  const Asked asked = machine.stream(32'000 * 4);  // 267 tokens a second
  machine.pass(120s);
  machine.fleet.first_byte(asked);
  EXPECT_TRUE(machine.fleet.canaries().empty());
  EXPECT_TRUE(machine.fleet.restarts().empty());
}

TEST(HangWatch, FortyNineThousandTokensOfThinkingAreNotTouched) {
  Machine machine(pinned(1));
  const Asked asked = machine.stream();
  machine.fleet.first_byte(asked);
  machine.utilization = 0.97;
  std::uint64_t tokens = 0;
  machine.each_step = [&] { machine.fleet.progress(asked, tokens += 60); };
  while (tokens < 49'000) machine.pass(2s);
  EXPECT_TRUE(machine.fleet.canaries().empty());
  EXPECT_TRUE(machine.fleet.restarts().empty());
  EXPECT_EQ(machine.fleet.health(0), HealthState::kUp);
}

TEST(HangWatch, SilenceAloneIsNoHang) {
  Machine machine(pinned(1));
  machine.stream();
  machine.pass(10min, true);  // idle and silent, but the canary sings
  EXPECT_FALSE(machine.fleet.canaries().empty());
  EXPECT_LE(machine.fleet.canaries().size(), 10U);  // one a minute at most
  EXPECT_TRUE(machine.fleet.restarts().empty());
  EXPECT_EQ(machine.fleet.health(0), HealthState::kUp);
}

TEST(HangWatch, AnIdleGpuAloneIsNoHang) {
  Machine machine(pinned(1));
  machine.pass(10min);
  EXPECT_TRUE(machine.fleet.canaries().empty());
  const Asked asked = machine.stream();
  machine.fleet.first_byte(asked);
  machine.each_step = [&] { machine.fleet.progress(asked); };  // it computes elsewhere
  machine.pass(2min);
  EXPECT_TRUE(machine.fleet.canaries().empty());
}

TEST(HangWatch, OneBusyReportBeginsTheIdleTimeAnew) {
  Machine machine(pinned(1));
  machine.stream();
  machine.pass(16s);
  machine.utilization = 0.5;
  machine.pass(2s);
  machine.utilization = 0.0;
  machine.stream(60'000);  // so that only the idle rule is due
  machine.pass(18s);
  EXPECT_TRUE(machine.fleet.canaries().empty());
  machine.pass(4s);
  EXPECT_EQ(machine.fleet.canaries().size(), 1U);
}

TEST(HangWatch, OldReportsSayNothing) {
  Machine machine(pinned(1));
  machine.stream(60'000);
  for (int i = 0; i < 20; ++i) {
    machine.fleet.pass(2s);
    machine.fleet.answers(0);
  }
  EXPECT_TRUE(machine.fleet.canaries().empty());
}

TEST(HangWatch, ASlowClientIsNotTakenForAHungInstance) {
  Machine machine(pinned(1));
  const Asked asked = machine.stream();
  machine.fleet.first_byte(asked);
  machine.fleet.send(LeaseHeldUp{asked.granted->lease, true});
  machine.pass(60s);
  EXPECT_TRUE(machine.fleet.canaries().empty());
  machine.fleet.send(LeaseHeldUp{asked.granted->lease, false});
  machine.pass(24s);
  EXPECT_EQ(machine.fleet.canaries().size(), 1U);
}

TEST(HangWatch, ADocumentIsSilentUntilItsEnd) {
  Machine machine(pinned(1));
  machine.utilization = 1.0;
  machine.fleet.ask("m");
  machine.pass(30min);
  EXPECT_TRUE(machine.fleet.canaries().empty());
}

TEST(HangWatch, ALoadIsBoundedByStallingOnly) {
  Machine machine(pinned(1));
  machine.fleet.has(0, {"m", "big"});
  RequestArrived arrived{RequestId{1}, testing::ask_for("big")};
  arrived.ask.streaming = true;
  machine.fleet.ask(std::move(arrived));
  Duration cpu{};
  machine.each_step = [&] { machine.fleet.process(0, 1, cpu += 500ms); };  // reading from disk
  machine.pass(10min);
  EXPECT_TRUE(machine.fleet.canaries().empty());
  machine.each_step = [&] {
    machine.fleet.process(0, 1, cpu += 2ms);  // the checks alone
    machine.memory += 64ULL << 20;            // but the GPU fills
  };
  machine.memory = kGiB;
  machine.pass(8min);
  EXPECT_TRUE(machine.fleet.canaries().empty());
  machine.each_step = [&] { machine.fleet.process(0, 1, cpu += 2ms); };
  machine.pass(4min);
  EXPECT_TRUE(machine.fleet.canaries().empty());
  machine.pass(70s);
  EXPECT_EQ(machine.fleet.restarts().size(), 1U);
}

TEST(HangWatch, OnAMigSliceTokensAndTheDeadlineDecide) {
  Machine machine(pinned(1));
  machine.utilization = std::nullopt;
  machine.stream(12'000);  // 245 s
  machine.pass(240s);
  EXPECT_TRUE(machine.fleet.canaries().empty());
  machine.pass(8s);
  EXPECT_EQ(machine.fleet.restarts().size(), 1U);
}

TEST(HangWatch, AModelThatIsPartlyOnTheCpuMayLeaveTheGpuIdle) {
  Machine machine(pinned(1));
  machine.loaded(0, 2 * kGiB);
  machine.stream(60'000);
  machine.pass(2min);
  EXPECT_TRUE(machine.fleet.canaries().empty());
}

TEST(HangWatch, AForeignInstanceWithoutReadingsIsNeverJudgedByIdlenessNorRestarted) {
  Machine machine(testing::specs(1));
  machine.stream();
  machine.pass(110s);
  EXPECT_TRUE(machine.fleet.canaries().empty());
  machine.pass(20s);
  EXPECT_EQ(machine.fleet.incidents().size(), 1U);
  EXPECT_EQ(machine.fleet.health(0), HealthState::kDown);
  EXPECT_TRUE(machine.fleet.restarts().empty());
}

TEST(HangWatch, AForeignInstanceComesBackWhenACanarySings) {
  Machine machine(testing::specs(1));
  const Asked asked = machine.stream();
  machine.pass(130s);
  ASSERT_EQ(machine.fleet.health(0), HealthState::kDown);
  machine.fleet.ends(asked, AttemptResult::kRevoked);
  machine.pass(30s, true);
  EXPECT_EQ(machine.fleet.health(0), HealthState::kDown);  // checks alone do not bring it back
  machine.pass(60s, true);
  EXPECT_EQ(machine.fleet.health(0), HealthState::kProbation);
}

TEST(HangWatch, AnOrderThatCameToNothingIsRepeated) {
  Machine machine(pinned(1));
  machine.stream();
  machine.pass(10min);
  EXPECT_EQ(machine.fleet.restarts().size(), 2U);
  EXPECT_EQ(machine.fleet.incidents().size(), 1U);
}

TEST(HangWatch, AfterItsRestartOneServedRequestMakesItUp) {
  Machine machine(pinned(1));
  const Asked asked = machine.stream();
  machine.pass(30s);
  ASSERT_EQ(machine.fleet.restarts().size(), 1U);
  machine.fleet.ends(asked, AttemptResult::kRevoked);
  machine.fleet.process(0, 2);
  machine.fleet.has(0, {"m"});
  machine.pass(4s);
  EXPECT_EQ(machine.fleet.health(0), HealthState::kProbation);
  const Asked visitor = machine.stream();
  ASSERT_EQ(visitor.at(), 0);
  machine.fleet.served(visitor);
  EXPECT_EQ(machine.fleet.health(0), HealthState::kUp);
}

TEST(HangWatch, TheCanaryNamesTheContextThatClientsName) {
  Machine machine(pinned(1));
  RequestArrived arrived{RequestId{1}, testing::ask_for("m")};
  arrived.ask.streaming = true;
  arrived.ask.num_ctx = 4096;
  machine.fleet.ask(std::move(arrived));
  machine.pass(24s, true);
  ASSERT_EQ(machine.fleet.canaries().size(), 1U);
  EXPECT_EQ(machine.fleet.canaries()[0].num_ctx, 4096U);
  EXPECT_EQ(machine.fleet.canaries()[0].model, ModelName::canonical("m"));
}

}  // namespace
}  // namespace drover::core
