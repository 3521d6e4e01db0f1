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
  Prediction asks(std::string_view model) {
    asked = ask(model);
    EXPECT_TRUE(asked.granted);
    return asked.granted->prediction;
  }
  void first_after(double seconds) {
    pass(std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds)));
    first_byte(asked);
    ends(asked, AttemptResult::kClientGone);  // of which nothing is learned
  }
  Asked asked;
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
