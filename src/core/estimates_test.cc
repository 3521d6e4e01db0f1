#include "core/estimates.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace drover::core {
namespace {

constexpr std::uint64_t kGb = 1'000'000'000;

// Two instances; model 0 has 5 GB, model 1 has 20 GB.
Estimates two_by_two() {
  Estimates estimates({{4, 32}, {4, 32}});
  estimates.sized(0, 5 * kGb);
  estimates.sized(1, 20 * kGb);
  return estimates;
}

constexpr Pair pair(std::uint32_t backend, ModelIndex model) { return {BackendId{backend}, model}; }

// An answer of 101 tokens to a prompt of 1000, at this pace.
Sample answer(double step_s, double prefill_s) {
  Sample sample;
  sample.prompt_tokens = 1000;
  sample.prompt_bytes = 4000;
  sample.output_tokens = 101;
  sample.prefill_s = prefill_s;
  sample.decode_s = 100 * step_s;
  return sample;
}

TEST(Estimates, BeginWithTheSizeOfTheModel) {
  const Estimates estimates = two_by_two();
  EXPECT_NEAR(estimates.step_s(pair(0, 1), 1), 4 * estimates.step_s(pair(0, 0), 1), 1e-9);
  EXPECT_GT(estimates.prefill_s(pair(0, 1), 1000), 3 * estimates.prefill_s(pair(0, 0), 1000));
  EXPECT_GT(estimates.load_s(pair(0, 1)), estimates.load_s(pair(0, 0)));
  EXPECT_GT(estimates.output_tokens(0), 50);
}

TEST(Estimates, APairIsKnownAfterAFewAnswers) {
  Estimates estimates = two_by_two();
  for (int i = 0; i < 10; ++i) estimates.learn(pair(0, 0), answer(0.020, 0.5));
  EXPECT_NEAR(estimates.step_s(pair(0, 0), 1), 0.020, 0.003);
  EXPECT_NEAR(estimates.prefill_s(pair(0, 0), 1000), 0.5, 0.08);
}

TEST(Estimates, AColdPairLearnsFromItsInstanceAndFromItsModelElsewhere) {
  Estimates estimates = two_by_two();
  const double before = estimates.step_s(pair(0, 1), 1);
  // Instance 0 is four times as slow as the constants say, with another model.
  for (int i = 0; i < 20; ++i) estimates.learn(pair(0, 0), answer(0.030, 1.2));
  EXPECT_GT(estimates.step_s(pair(0, 1), 1), 2 * before);
  // A model with few active parameters is fast everywhere.
  Estimates sparse = two_by_two();
  for (int i = 0; i < 20; ++i) sparse.learn(pair(1, 1), answer(0.006, 0.1));
  EXPECT_LT(sparse.step_s(pair(0, 1), 1), before / 2);
}

TEST(Estimates, NeighboursInTheBatchMakeAStepLonger) {
  Estimates estimates = two_by_two();
  for (int i = 0; i < 40; ++i) {
    Sample sample = answer(0.010 * (1 + 0.3 * (i % 4)), 0.3);
    sample.neighbours = i % 4;
    estimates.learn(pair(0, 0), sample);
  }
  EXPECT_NEAR(estimates.step_s(pair(0, 0), 1), 0.010, 0.002);
  EXPECT_NEAR(estimates.step_s(pair(0, 0), 4), 0.019, 0.003);
}

TEST(Estimates, AGpuSharedByTwoModelsIsNotTakenForASlowOne) {
  Estimates estimates = two_by_two();
  for (int i = 0; i < 20; ++i) {
    Sample sample = answer(0.020, 0.6);
    sample.models = sample.prefill_models = 2;
    estimates.learn(pair(0, 0), sample);
  }
  EXPECT_NEAR(estimates.step_s(pair(0, 0), 1), 0.010, 0.002);
}

TEST(Estimates, PoisonedAnswersTeachNoPace) {
  Estimates estimates = two_by_two();
  const double before = estimates.step_s(pair(0, 0), 1);
  for (int i = 0; i < 20; ++i) {
    Sample sample = answer(0.200, 9);
    sample.hidden_wait_s = 5;
    estimates.learn(pair(0, 0), sample);
  }
  EXPECT_EQ(estimates.step_s(pair(0, 0), 1), before);
}

TEST(Estimates, OneOddAnswerMovesLittle) {
  Estimates estimates = two_by_two();
  for (int i = 0; i < 30; ++i) estimates.learn(pair(0, 0), answer(0.010, 0.3));
  estimates.learn(pair(0, 0), answer(10, 300));
  EXPECT_LT(estimates.step_s(pair(0, 0), 1), 0.013);
}

TEST(Estimates, AHiddenWaitMeansFewerSlots) {
  Estimates estimates = two_by_two();
  Sample sample = answer(0.010, 0.3);
  sample.rank = 3;
  sample.hidden_wait_s = 2;
  estimates.learn(pair(0, 0), sample);
  EXPECT_EQ(estimates.slots(pair(0, 0)), 2U);
  EXPECT_EQ(estimates.slots(pair(1, 0)), 4U);
  // Alone it cannot have waited for ours.
  sample.rank = 1;
  estimates.learn(pair(0, 0), sample);
  EXPECT_EQ(estimates.slots(pair(0, 0)), 2U);
}

TEST(Estimates, NoWaitUnderPressureMeansMoreSlotsUpToTheMost) {
  Estimates estimates({{4, 5}});
  estimates.sized(0, 5 * kGb);
  for (int i = 0; i < 200; ++i) {
    Sample sample = answer(0.010, 0.3);
    sample.rank = estimates.slots(pair(0, 0));
    estimates.learn(pair(0, 0), sample);
  }
  EXPECT_EQ(estimates.slots(pair(0, 0)), 5U);
}

// Answers with as many under way as there should be, of an instance that has so many slots for us.
void serve(Estimates& estimates, std::uint32_t slots, int answers) {
  Sample sample = answer(0.010, 0.3);
  for (int i = 0; i < answers; ++i) {
    sample.rank = estimates.slots(pair(0, 0));
    sample.hidden_wait_s = sample.rank > slots ? 2 : 0;
    estimates.learn(pair(0, 0), sample);
  }
}

TEST(Estimates, SlotsThatStrangersTookComeBackSoonAfterTheyHaveGone) {
  for (const int stay : {50, 200, 1000, 3000}) {
    Estimates estimates({{4, 4}});
    estimates.sized(0, 5 * kGb);
    for (int again = 0; again < 3; ++again) {
      serve(estimates, 3, stay);
      EXPECT_LE(estimates.slots(pair(0, 0)), 4U);
      serve(estimates, 4, 200);
      EXPECT_EQ(estimates.slots(pair(0, 0)), 4U) << stay;
    }
  }
}

TEST(Estimates, WhereSlotsAreGoneForGoodFewAnswersWaitForOne) {
  Estimates estimates({{4, 4}});
  estimates.sized(0, 5 * kGb);
  serve(estimates, 4, 100);
  int waits = 0;
  for (int i = 0; i < 1600; ++i) {
    waits += estimates.slots(pair(0, 0)) > 2 ? 1 : 0;
    serve(estimates, 2, 1);
  }
  EXPECT_GE(waits, 8);
  EXPECT_LE(waits, 20);
}

TEST(Estimates, OneSlotMoreThanThereIsIsTriedLessAndLessOften) {
  Estimates estimates = two_by_two();
  Sample sample = answer(0.010, 0.3);
  int waits = 0;
  for (int i = 0; i < 10'000; ++i) {
    sample.rank = estimates.slots(pair(0, 0));
    sample.hidden_wait_s = sample.rank > 4 ? 2 : 0;
    waits += sample.rank > 4 ? 1 : 0;
    estimates.learn(pair(0, 0), sample);
  }
  EXPECT_GT(waits, 4);
  EXPECT_LT(waits, 12);
}

TEST(Estimates, WhoHasWrittenLongIsExpectedToWriteOn) {
  Estimates estimates = two_by_two();
  Rng rng(1);
  for (int i = 0; i < 200; ++i) {
    Sample sample = answer(0.010, 0.3);
    sample.output_tokens = rng.below(4) == 0 ? 2000 : 50;
    estimates.learn(pair(0, 0), sample);
  }
  EXPECT_NEAR(estimates.output_tokens(0), 540, 150);
  EXPECT_GT(estimates.remaining_tokens(0, 100), 1000);
  EXPECT_GE(estimates.remaining_tokens(0, 100'000), 1);
}

TEST(Estimates, LoadsAreLearnedByInstanceAndSize) {
  Estimates estimates = two_by_two();
  for (int i = 0; i < 5; ++i) {
    estimates.learn_load(pair(0, 0), 6);
    estimates.learn_load(pair(0, 1), 21);
  }
  EXPECT_NEAR(estimates.load_s(pair(0, 0)), 6, 1);
  EXPECT_NEAR(estimates.load_s(pair(0, 1)), 21, 3);
  // The disk of another instance is probably like it, too.
  EXPECT_GT(estimates.load_s(pair(1, 1)), 14);
}

TEST(Estimates, NoAnswerMakesATimeNegative) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Estimates estimates = two_by_two();
    Rng rng(seed);
    for (int i = 0; i < 100; ++i) {
      Sample sample = answer(rng.unit() * 0.1, rng.unit() * 3);
      sample.prompt_tokens = 1 + rng.unit() * 8000;
      sample.neighbours = rng.unit() * 5;
      estimates.learn(pair(0, 0), sample);
      ASSERT_GT(estimates.step_s(pair(0, 0), 1), 0) << seed;
      ASSERT_GT(estimates.prefill_s(pair(0, 0), 1), 0) << seed;
      ASSERT_GE(estimates.step_s(pair(0, 0), 8), estimates.step_s(pair(0, 0), 1)) << seed;
    }
  }
}

TEST(Lengths, TheirMeanIsWhatRemainsOfAnAnswerThatHasNotBegun) {
  const Lengths prior = Lengths::usual();
  Lengths lengths;
  EXPECT_NEAR(lengths.mean(prior), lengths.remaining(prior, 0), 1e-3);
  Rng rng(1);
  for (int i = 0; i < 2000; ++i) {
    lengths.learn(static_cast<double>(rng.below(3000)));
    ASSERT_NEAR(lengths.mean(prior) / lengths.remaining(prior, 0), 1, 1e-4) << i;
  }
  const Lengths again(lengths.counts());
  EXPECT_NEAR(again.mean(prior) / lengths.mean(prior), 1, 1e-4);
}

TEST(Lengths, ANotebookThatDoesNotAgreeWithItselfMovesTheMeanNowhereStrange) {
  LearnedLengths counts;
  counts.samples = 1e6;
  counts.counts[10] = 2;
  const Lengths prior = Lengths::usual();
  EXPECT_NEAR(Lengths(counts).mean(prior), Lengths(counts).remaining(prior, 0), 1e-3);
}

}  // namespace
}  // namespace drover::core
