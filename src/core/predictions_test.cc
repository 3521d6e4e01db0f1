// What a Grant says about its first token, and how it is judged.

#include <gtest/gtest.h>

#include "base/rng.h"
#include "core/testing.h"

namespace drover::core {
namespace {

using testing::Asked;
using testing::Script;
using namespace std::chrono_literals;

Settings by_cost() {
  Settings settings;
  settings.policy = PolicyName::kExpectedCompletion;
  return settings;
}

// One instance that has "a" loaded and "b" in its store.
struct Lone : Script {
  explicit Lone(Settings settings) : Script(1, settings) {
    has(0, {"a", "b"});
    has_loaded(0, {"a"});
  }
  Prediction asks(std::string_view model) { return of(ask(model)); }
  // With a prompt of some thousand tokens.
  Prediction asks_much() {
    RequestArrived arrived{RequestId{++asked_much}, testing::ask_for("a")};
    arrived.ask.body_bytes = 4000;
    return of(ask(arrived));
  }
  Prediction of(const Asked& one) {
    asked = one;
    EXPECT_TRUE(asked.granted);
    return asked.granted->prediction;
  }
  void first_after(double seconds) {
    pass(std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds)));
    first_byte(asked);
    ends(asked, AttemptResult::kClientGone);  // of which nothing is learned
  }
  Asked asked;
  std::uint64_t asked_much = 100'000;
};

TEST(Predictions, AGrantSaysWhenTheFirstTokenIsExpected) {
  Lone lone(by_cost());
  const Prediction said = lone.asks("a");
  EXPECT_GT(said.first_s, 0);
  EXPECT_GT(said.late_s, said.first_s);
}

TEST(Predictions, OtherPoliciesPredictNothing) {
  Lone lone(Settings{});
  EXPECT_EQ(lone.asks("a").first_s, 0);
}

TEST(Predictions, OfALoadNothingIsPredicted) {
  Script script(1, by_cost());
  script.has(0, {"b"});  // what is loaded there nobody knows yet
  const Asked asked = script.ask("b");
  ASSERT_TRUE(asked.granted);
  EXPECT_EQ(asked.granted->prediction.first_s, 0);
  EXPECT_EQ(asked.granted->prediction.late_s, 0);
}

// Reading has seven tenths of the time while somebody writes. That is part of what is foretold for
// such a request, and none of what its model takes.
TEST(Predictions, OfAPromptThatWasReadBesideAWriterTheReadingAloneIsLearned) {
  Lone lone(by_cost());
  const Asked writer = lone.ask("a");
  ASSERT_TRUE(writer.granted);
  lone.pass(1s);
  lone.first_byte(writer);
  Usage usage;
  usage.prompt_tokens = 1000;
  usage.output_tokens = 20;
  usage.prompt_eval = 1s;
  usage.eval = 400ms;
  Prediction beside;
  for (int i = 0; i < 200; ++i) {
    beside = lone.asks_much();
    lone.pass(1s);
    lone.first_byte(lone.asked);
    lone.pass(400ms);
    lone.served(lone.asked, usage);
  }
  lone.ends(writer, AttemptResult::kClientGone);
  EXPECT_NEAR(beside.first_s, 1, 0.1);
  EXPECT_NEAR(lone.asks_much().first_s, 0.7, 0.07);
}

TEST(Predictions, OneInTenIsLater) {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    Lone lone(by_cost());
    Rng rng(seed);
    int late = 0;
    int counted = 0;
    for (int i = 0; i < 3000; ++i) {
      const Prediction said = lone.asks("a");
      // From half to four and a half times what was said, the more the rarer.
      const double times = 0.5 + 4 * rng.unit() * rng.unit();
      const double took = times * said.first_s;
      if (i >= 500) {
        ++counted;
        late += took > said.late_s ? 1 : 0;
      }
      lone.first_after(took);
    }
    EXPECT_NEAR(static_cast<double>(late) / counted, 0.1, 0.02) << seed;
  }
}

}  // namespace
}  // namespace drover::core
