#include "wire/progress.h"

#include <gtest/gtest.h>

namespace drover::wire {
namespace {

// Stores that talk, and what a client hears.
class Deliveries {
 public:
  explicit Deliveries(std::size_t stores) : merge(stores) {}

  std::vector<std::string> say(std::size_t store, std::string_view line) {
    std::vector<ProgressMerge::Told> out;
    merge.take(store, *read_progress(line), line, out);
    return lines(out);
  }
  std::vector<std::string> end(std::size_t store, ProgressMerge::How how) {
    std::vector<ProgressMerge::Told> out;
    merge.ended(store, how, out);
    return lines(out);
  }
  static std::vector<std::string> lines(const std::vector<ProgressMerge::Told>& told) {
    std::vector<std::string> all;
    for (const auto& each : told) all.push_back(each.line);
    return all;
  }

  ProgressMerge merge;
};

using Lines = std::vector<std::string>;
constexpr auto kWell = ProgressMerge::How::kWell;
constexpr auto kFailed = ProgressMerge::How::kFailed;

TEST(Progress, OfOneStoreEveryLinePassesAsItIs) {
  Deliveries one(1);
  const Lines lines = {R"({"status":"pulling manifest"})",
                       R"({"status":"pulling a","digest":"sha256:a","total":4,"completed":1})",
                       R"({"digest":"x","status":"quantizing","total":2,"type":"quantizing"})",
                       R"({"status":"writing manifest"})"};
  for (const std::string& line : lines) EXPECT_EQ(one.say(0, line), Lines{line});
}

TEST(Progress, APartCountsInEveryStore) {
  Deliveries three(3);
  EXPECT_EQ(three.say(0, R"({"status":"pulling a","digest":"a","total":10})"),
            Lines{R"({"status":"pulling a","digest":"a","total":30})"});
  EXPECT_EQ(three.say(1, R"({"status":"pulling a","digest":"a","total":10,"completed":10})"),
            Lines{R"({"status":"pulling a","digest":"a","total":30,"completed":10})"});
  EXPECT_EQ(three.say(0, R"({"status":"pulling a","digest":"a","total":10,"completed":4})"),
            Lines{R"({"status":"pulling a","digest":"a","total":30,"completed":14})"});
}

TEST(Progress, NamedStoresAreToldApart) {
  ProgressMerge merge(std::vector<std::string>{"disk \"0\"", "b"});
  std::vector<ProgressMerge::Told> out;
  const std::string_view line = R"({"status":"pulling a","digest":"a","total":10,"completed":4})";
  merge.take(1, *read_progress(line), line, out);
  ASSERT_EQ(out.size(), 1U);
  EXPECT_EQ(out[0].line, R"({"status":"pulling a","digest":"a","total":20,"completed":4,)"
                         R"("drover_stores":{"disk \"0\"":0,"b":4}})");
  using Share = std::pair<std::string, std::uint64_t>;
  EXPECT_EQ(read_shares(out[0].line), (std::vector<Share>{{"disk \"0\"", 0}, {"b", 4}}));
  EXPECT_TRUE(read_shares(line).empty());
  EXPECT_TRUE(read_shares(R"({"drover_stores":{"a":1)").empty());
  merge.ended(0, kWell, out);
  EXPECT_EQ(read_shares(out.back().line), (std::vector<Share>{{"disk \"0\"", 10}, {"b", 4}}));
}

TEST(Progress, NothingEverShrinks) {
  Deliveries two(2);
  (void)two.say(0, R"({"status":"pulling a","digest":"a","total":10,"completed":6})");
  // A download that begins again does not take back what was told.
  EXPECT_EQ(two.say(0, R"({"status":"pulling a","digest":"a","total":10,"completed":2})"), Lines{});
  EXPECT_EQ(two.say(0, R"({"status":"pulling a","digest":"a","total":10,"completed":7})"),
            Lines{R"({"status":"pulling a","digest":"a","total":20,"completed":7})"});
}

TEST(Progress, APhaseIsToldOnceTheLastStoreIsThere) {
  Deliveries two(2);
  EXPECT_EQ(two.say(0, R"({"status":"writing manifest"})"), Lines{});
  EXPECT_EQ(two.say(1, R"({"status":"writing manifest"})"),
            Lines{R"({"status":"writing manifest"})"});
}

TEST(Progress, AFailedStoreHoldsUpNobody) {
  Deliveries two(2);
  (void)two.say(0, R"({"status":"pulling a","digest":"a","total":10,"completed":10})");
  EXPECT_EQ(two.say(0, R"({"status":"writing manifest"})"), Lines{});
  EXPECT_EQ(two.end(1, kFailed), Lines{R"({"status":"writing manifest"})"});
}

TEST(Progress, AStoreThatIsDoneNeedsNothingOfWhatItNeverNamed) {
  Deliveries two(2);
  (void)two.say(0, R"({"status":"pulling a","digest":"a","total":10,"completed":10})");
  EXPECT_EQ(two.end(1, kWell),
            Lines{R"({"status":"pulling a","digest":"a","total":20,"completed":20})"});
}

TEST(Progress, WhatWasAnnouncedIsNotToldAgain) {
  Deliveries two(2);
  EXPECT_EQ(two.merge.announce("pulling manifest").line, R"({"status":"pulling manifest"})");
  EXPECT_EQ(two.say(0, R"({"status":"pulling manifest"})"), Lines{});
  EXPECT_EQ(two.say(1, R"({"status":"pulling manifest"})"), Lines{});
}

TEST(Progress, WhoJoinsHearsWhereThingsStand) {
  Deliveries two(2);
  (void)two.merge.announce("pulling manifest");
  (void)two.say(0, R"({"status":"pulling a","digest":"a","total":10,"completed":3})");
  (void)two.say(0, R"({"status":"pulling a","digest":"a","total":10,"completed":5})");
  EXPECT_EQ(Deliveries::lines(two.merge.so_far()),
            (Lines{R"({"status":"pulling manifest"})",
                   R"({"status":"pulling a","digest":"a","total":20,"completed":5})"}));
}

TEST(Progress, TheSamePhaseMayComeSeveralTimes) {
  Deliveries two(2);
  const std::string line = R"({"status":"using existing layer"})";
  (void)two.say(0, line);
  (void)two.say(0, line);
  EXPECT_EQ(two.say(1, line), Lines{line});
  EXPECT_EQ(two.say(1, line), Lines{line});
}

TEST(Progress, ReadsErrorsAndRefusesWhatIsNoObject) {
  EXPECT_EQ(read_progress(R"({"error":"disk full"})")->error, "disk full");
  for (std::string_view line : {"", "[]", "null", "{", "{\"status\":\"x\"} x", "text"}) {
    EXPECT_FALSE(read_progress(line).ok()) << line;
  }
}

}  // namespace
}  // namespace drover::wire
