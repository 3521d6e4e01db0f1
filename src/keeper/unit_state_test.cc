#include "keeper/unit_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drover::keeper {
namespace {

using testing::HasSubstr;

constexpr char kAnswer[] =
    "MainPID=4711\nNRestarts=2\nResult=success\nId=drover-ollama@gpu0.service\n"
    "ActiveState=active\nSubState=running\n"
    "\n"
    "MainPID=0\nNRestarts=7\nResult=exit-code\nId=drover-ollama@gpu1.service\n"
    "ActiveState=activating\nSubState=auto-restart\n";

TEST(UnitState, EveryBlockOfTheAnswerIsAUnit) {
  const std::vector<UnitState> states = read_unit_states(kAnswer);
  ASSERT_EQ(states.size(), 2U);
  EXPECT_EQ(states[0],
            (UnitState{"drover-ollama@gpu0.service", "active", "running", "success", 4711, 2}));
  EXPECT_EQ(states[1], (UnitState{"drover-ollama@gpu1.service", "activating", "auto-restart",
                                  "exit-code", 0, 7}));
}

TEST(UnitState, WhatIsNoUnitIsLeftOut) {
  EXPECT_TRUE(read_unit_states("").empty());
  EXPECT_TRUE(read_unit_states("Failed to connect to bus\n\n\n").empty());
  EXPECT_TRUE(read_unit_states("ActiveState=active\nSubState=running\n").empty());
  const auto states = read_unit_states("Id=a.service\nMainPID=x\nActiveState=failed");
  ASSERT_EQ(states.size(), 1U);
  EXPECT_EQ(states[0].main_pid, 0);
}

TEST(UnitState, TheStatesOfSystemdAreThoseOfAnInstance) {
  const auto state = [](std::string active, std::string sub) {
    return process_of({"u.service", std::move(active), std::move(sub), "signal", 0, 3});
  };
  EXPECT_EQ(state("active", "running").state, ProcessState::kRunning);
  EXPECT_EQ(state("active", "running").reason, "");
  EXPECT_EQ(state("active", "running").starts, 4U);
  EXPECT_EQ(state("activating", "start").state, ProcessState::kStarting);
  EXPECT_EQ(state("activating", "auto-restart").state, ProcessState::kWaiting);
  EXPECT_THAT(state("activating", "auto-restart").reason, HasSubstr("ended (signal)"));
  EXPECT_EQ(state("deactivating", "stop-sigterm").state, ProcessState::kStopping);
  EXPECT_EQ(state("failed", "failed").state, ProcessState::kQuarantined);
  EXPECT_THAT(state("failed", "failed").reason, HasSubstr("systemctl restart u.service"));
  EXPECT_EQ(state("inactive", "dead").state, ProcessState::kStopped);
}

}  // namespace
}  // namespace drover::keeper
