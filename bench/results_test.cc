#include "results.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace drover::bench {
namespace {

const Scenario& scenario(std::string_view name) {
  return *std::find_if(scenarios().begin(), scenarios().end(),
                       [&](const Scenario& each) { return each.name == name; });
}

const Peer kDirect{"direct", PeerKind::kDirect, ""};
const Peer kHaproxy{"haproxy", PeerKind::kHaproxyBare, ""};
const Peer kDrover{"drover", PeerKind::kDrover, ""};

// One request a second, which took so long and cost the proxy so much.
Sample sample(std::string_view name, const Peer& peer, unsigned round, double p50_us,
              double cpu_us) {
  Sample sample;
  sample.scenario = &scenario(name);
  sample.peer = peer;
  sample.round = round;
  sample.clean = true;
  sample.report.seconds = 1;
  sample.report.answers = 1;
  sample.report.records = 1;
  sample.report.p50_ns = p50_us * 1e3;
  sample.report.p99_ns = p50_us * 2e3;
  sample.report.proxy_ns = cpu_us * 1e3;
  return sample;
}

const Finding& find(const std::vector<Finding>& all, std::string_view name, const Peer& peer) {
  return *std::find_if(all.begin(), all.end(), [&](const Finding& each) {
    return each.measure->name == name && each.peer.name == peer.name;
  });
}

TEST(Findings, ARatioIsTakenWithinItsRound) {
  // The machine was twice as slow in the second round; the ratio is 0.5 in each.
  const std::vector<Sample> samples = {
      sample("c64", kHaproxy, 0, 50, 10), sample("c64", kDrover, 0, 50, 5),
      sample("c64", kDrover, 1, 50, 10), sample("c64", kHaproxy, 1, 50, 20)};
  const auto all = findings(samples);
  const Finding& cpu = find(all, "cpu_us", kDrover);
  EXPECT_DOUBLE_EQ(cpu.value->median, 7.5);
  EXPECT_DOUBLE_EQ(cpu.ratio->least, 0.5);
  EXPECT_DOUBLE_EQ(cpu.ratio->most, 0.5);
  EXPECT_EQ(verdict_of(cpu), Verdict::kAim);
}

TEST(Findings, AnAddedFigureIsWhatDirectDoesNotHave) {
  const std::vector<Sample> samples = {sample("c1same", kDirect, 0, 16, 0),
                                       sample("c1same", kHaproxy, 0, 46, 10),
                                       sample("c1same", kDrover, 0, 43, 5)};
  const auto all = findings(samples);
  EXPECT_DOUBLE_EQ(find(all, "added_p50_us", kDrover).value->median, 27);
  EXPECT_DOUBLE_EQ(find(all, "added_p50_us", kDrover).ratio->median, 0.9);
  EXPECT_FALSE(find(all, "added_p50_us", kDirect).value);
  EXPECT_FALSE(find(all, "cpu_us", kDirect).value);
}

TEST(Findings, ADisturbedSampleTakesItsRoundOutOfTheRatio) {
  std::vector<Sample> samples = {
      sample("c64", kHaproxy, 0, 50, 10), sample("c64", kDrover, 0, 50, 5),
      sample("c64", kHaproxy, 1, 50, 10), sample("c64", kDrover, 1, 50, 9)};
  samples[2].clean = false;
  const auto all = findings(samples);
  EXPECT_EQ(find(all, "cpu_us", kDrover).value->count, 2U);
  EXPECT_EQ(find(all, "cpu_us", kDrover).ratio->count, 1U);
}

TEST(Findings, ARepeatedSampleTakesThePlaceOfTheDisturbedOne) {
  std::vector<Sample> samples = {sample("c64", kHaproxy, 0, 50, 10),
                                 sample("c64", kDrover, 0, 50, 99),
                                 sample("c64", kDrover, 0, 50, 5)};
  samples[1].clean = false;
  EXPECT_DOUBLE_EQ(find(findings(samples), "cpu_us", kDrover).value->median, 5);
}

TEST(Findings, TwoLoopsAreComparedWithOne) {
  Peer two = kDrover;
  two.loops = 2;
  two.name += kTwoLoops;
  const std::vector<Sample> samples = {sample("loops", kDrover, 0, 50, 10),
                                       sample("loops", two, 0, 50, 12)};
  const auto all = findings(samples);
  EXPECT_DOUBLE_EQ(find(all, "cpu_us", two).ratio->median, 1.2);
  EXPECT_EQ(verdict_of(find(all, "cpu_us", two)), Verdict::kMissed);
  EXPECT_EQ(verdict_of(find(all, "cpu_us", kDrover)), Verdict::kNone);
}

TEST(Findings, WithoutItsYardstickABoundIsNeitherKeptNorMissed) {
  const std::vector<Sample> samples = {sample("c64", kDrover, 0, 50, 5)};
  EXPECT_EQ(verdict_of(find(findings(samples), "cpu_us", kDrover)), Verdict::kUnknown);
}

TEST(Findings, OnlyDroverHasBoundsToKeep) {
  const std::vector<Sample> samples = {sample("c64", kHaproxy, 0, 50, 10)};
  EXPECT_EQ(verdict_of(find(findings(samples), "cpu_us", kHaproxy)), Verdict::kNone);
}

TEST(Spread, TheMedianOfAnEvenNumberLiesBetweenTheTwoInTheMiddle) {
  EXPECT_DOUBLE_EQ(spread_of({4, 1, 3, 2})->median, 2.5);
  EXPECT_DOUBLE_EQ(spread_of({9, 1, 5})->median, 5);
  EXPECT_FALSE(spread_of({}));
}

}  // namespace
}  // namespace drover::bench
