#include "sim/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drover::sim {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Matrix two_rows() {
  Matrix matrix;
  matrix.plan.policies = {find_policy("random"), find_policy("two_choices")};
  matrix.plan.first_seed = 7;
  matrix.plan.seeds = 3;
  matrix.rows = {{"mm1", 0.5, std::nullopt, Estimate{0.9, 0.9, 0.9}, std::nullopt},
                 {"mm4", 0.9, Estimate{0.8, 0.8, 0.8}, Estimate{1, 1, 1}, std::nullopt}};
  return matrix;
}

// Nothing divided by nothing is neither the best there is nor the worst.
TEST(Report, ARatioThatDoesNotExistIsNoZero) {
  const std::string text = matrix_text(two_rows());
  EXPECT_THAT(text, HasSubstr("\nmm1  0.5   -                0.90              -\n"));
  EXPECT_THAT(text, HasSubstr("The worst first token p99: 0.80 in mm4 at 0.9.\n"));
  EXPECT_THAT(text, HasSubstr("The fewest answers a second: 0.90 in mm1 at 0.5.\n"));
  EXPECT_THAT(text, HasSubstr("The worst goodput: -.\n"));
}

TEST(Report, JsonOfAMatrixLeavesOutWhatDoesNotExist) {
  const std::string json = matrix_json(two_rows());
  EXPECT_THAT(json, HasSubstr(R"("policy":"two_choices","times":"random","requests":4000,)"
                              R"("first_seed":7,"seeds":3,)"));
  EXPECT_THAT(json, HasSubstr(R"({"scenario":"mm1","load":0.5,"throughput":)"
                              R"({"median":0.9,"low":0.9,"high":0.9}})"));
  EXPECT_THAT(json, HasSubstr(R"("ttft_p99_s":{"median":0.8)"));
  EXPECT_THAT(json, Not(HasSubstr("goodput")));
}

TEST(Report, SaysWithWhichSeedsItWasMade) {
  EXPECT_THAT(matrix_text(two_rows()), HasSubstr("4000 requests, seeds 7 to 9, median"));
}

Comparison one_foretells() {
  Comparison comparison;
  comparison.plan.policies = {find_policy("random"), find_policy("two_choices")};
  comparison.plan.seeds = 1;
  comparison.columns = {"random", "two_choices"};
  comparison.runs.resize(2, std::vector<Metrics>(1));
  at(comparison.runs[0][0], Metric::kForetoldOff) = kNone;
  at(comparison.runs[1][0], Metric::kForetoldOff) = 12.5;
  for (const std::size_t i : {0U, 1U}) at(comparison.runs[i][0], Metric::kForetoldByP90) = kNone;
  return comparison;
}

TEST(Report, WhatAPolicyDoesNotHaveIsADashAndNull) {
  const std::string text = comparison_text(one_foretells());
  EXPECT_THAT(text, HasSubstr("first token foretold, median off, %  -       12.5\n"));
  EXPECT_THAT(text, Not(HasSubstr("foretold p90"))) << "nobody has it";
  EXPECT_THAT(text, Not(HasSubstr("nan")));
  const std::string json = comparison_json(one_foretells());
  EXPECT_THAT(json, HasSubstr(R"("foretold_off":null)"));
  EXPECT_THAT(json, HasSubstr(R"("foretold_off":{"median":12.5,)"));
  EXPECT_THAT(json, HasSubstr(R"("foretold_off":[null])"));
  EXPECT_THAT(json, HasSubstr(R"("foretold_off":[12.5])"));
  EXPECT_THAT(json, Not(HasSubstr("nan")));
}

}  // namespace
}  // namespace drover::sim
