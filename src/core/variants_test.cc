#include "core/variants.h"

#include <gtest/gtest.h>

namespace drover::core {
namespace {

using NumCtx = VariantOrder::NumCtx;

constexpr BackendId kHere{0};
const ModelName kModel = ModelName::canonical("m");

Ask wants(std::optional<std::uint64_t> num_ctx, std::uint32_t others = 0) {
  Ask ask;
  ask.model = kModel;
  ask.model_as_sent = "m";
  ask.takes_runner_options = true;
  ask.num_ctx = num_ctx;
  ask.other_runner_options = others;
  return ask;
}

Variants::Seat listed(std::uint64_t context) { return {kHere, kModel, false, context}; }
const Variants::Seat kAbsent{kHere, kModel, false, 0};

VariantOrder set_to(std::uint64_t tokens) { return {NumCtx::kSet, false, tokens}; }

struct Fixture {
  explicit Fixture(VariantRules rules = {}) : variants(std::move(rules)) {}
  Variants::Choice ask(const Variants::Seat& seat, const Ask& what) {
    return variants.granted(seat, what, Instant{});
  }
  Variants variants;
};

TEST(Variants, WhatIsLoadedIsKeptWhereItIsLargeEnough) {
  Fixture f;
  EXPECT_EQ(f.ask(listed(4096), wants(2048)).order.num_ctx, NumCtx::kLeftOut);
  EXPECT_EQ(f.ask(listed(4096), wants(4096)).order.num_ctx, NumCtx::kLeftOut);
  EXPECT_TRUE(f.ask(listed(4096), wants({})).order.is_trivial());
}

TEST(Variants, ALargerContextGrowsToTheNextStepOnce) {
  Fixture f;
  const Variants::Choice grown = f.ask(listed(4096), wants(5000));
  EXPECT_EQ(grown.order, set_to(8192));
  EXPECT_EQ(grown.reload, (Reload{Reload::Cause::kNumCtx, 4096, 8192}));
  for (const std::optional<std::uint64_t> asked : {2048, 4096, 5000, 8000}) {
    const Variants::Choice kept = f.ask(listed(8192), wants(asked));
    EXPECT_EQ(kept.order, set_to(8192));
    EXPECT_FALSE(kept.reload);
  }
  // What names none goes along, and what says the same is left as it is.
  EXPECT_EQ(f.ask(listed(8192), wants({})).order, set_to(8192));
  EXPECT_TRUE(f.ask(listed(8192), wants(8192)).order.is_trivial());
}

// Or one client's typing error would be everybody's context.
TEST(Variants, NobodyGetsMoreThanTheLastStepOrTheInstancesOwn) {
  Fixture f({OptionsRule::kNormalise, {1000}, {}});
  EXPECT_EQ(f.ask(kAbsent, wants(600)).order, set_to(1000));
  EXPECT_EQ(f.ask(kAbsent, wants(50'000'000)).order, set_to(1000));
  EXPECT_TRUE(f.variants.fits(listed(1000), wants(50'000'000)));
  EXPECT_FALSE(f.ask(listed(1000), wants(50'000'000)).reload);
  Fixture larger({OptionsRule::kNormalise, {1000}, {}});
  EXPECT_EQ(larger.ask(listed(4096), wants(50'000'000)).order.num_ctx, NumCtx::kLeftOut);
}

TEST(Variants, AFirstLoadIsNoReload) {
  Fixture f;
  EXPECT_FALSE(f.ask(kAbsent, wants(8192)).reload);
  EXPECT_TRUE(f.ask({kHere, kModel, true, 0}, wants(16384)).reload);
}

TEST(Variants, OptionsThatAreNotNormalisedLoadAnewAndSaySo) {
  Fixture f({OptionsRule::kPass, {}, {}});
  EXPECT_TRUE(f.ask(listed(4096), wants(2048)).reload);
  EXPECT_FALSE(f.ask(listed(2048), wants(2048)).reload);
  EXPECT_EQ(f.ask(listed(2048), wants({})).reload, (Reload{Reload::Cause::kDefault, 2048, 4096}));
  EXPECT_EQ(f.ask(listed(4096), wants({}, 7)).reload->cause, Reload::Cause::kOther);
  EXPECT_FALSE(f.ask(listed(4096), wants({}, 7)).reload);
}

TEST(Variants, OtherOptionsAreLeftOut) {
  Fixture f;
  const Variants::Choice choice = f.ask(listed(4096), wants({}, 7));
  EXPECT_TRUE(choice.order.others_left_out);
  EXPECT_FALSE(choice.reload);
}

TEST(Variants, WhatCannotNameAContextFallsBackAndIsCounted) {
  Fixture f;
  (void)f.ask(listed(4096), wants(8192));
  Ask v1 = wants({});
  v1.takes_runner_options = false;
  EXPECT_FALSE(f.variants.fits(listed(8192), wants(16384)));
  const Variants::Choice choice = f.ask(listed(8192), v1);
  EXPECT_TRUE(choice.order.is_trivial());
  EXPECT_EQ(choice.reload, (Reload{Reload::Cause::kDefault, 8192, 4096}));
}

// A larger context that is loaded does not serve it without a load, since it can not be named.
TEST(Variants, WhatCannotNameAContextFitsTheInstancesOwnOnly) {
  Fixture f;
  (void)f.ask(listed(4096), wants(8192));
  Ask v1 = wants({});
  v1.takes_runner_options = false;
  EXPECT_FALSE(f.variants.fits(listed(8192), v1));
  EXPECT_TRUE(f.variants.fits({BackendId{1}, kModel, false, 4096}, v1));
  EXPECT_TRUE(f.variants.fits(listed(8192), wants({})));
}

// Where it is not known what the instance chooses itself, nothing smaller may be forced on those
// who rely on it.
TEST(Variants, AnUnknownDefaultIsNotCutShort) {
  Fixture f;
  (void)f.ask(kAbsent, wants(2048));
  EXPECT_TRUE(f.ask(listed(4096), wants({})).order.is_trivial());
}

TEST(Variants, TheRuleOfAModelWinsAndRefusesInItsWords) {
  Variants variants({OptionsRule::kNormalise, {}, {{kModel, OptionsRule::kRefuse}}});
  EXPECT_TRUE(variants.check(wants({})).ok());
  const Result<void> refused = variants.check(wants(4096));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kMalformed);
  EXPECT_EQ(refused.error().message,
            "model 'm' is served as it is loaded: leave out options.num_ctx (num_ctx: refuse in "
            "drover's configuration)");
  EXPECT_FALSE(variants.check(wants({}, 7)));
  Ask other = wants(4096);
  other.model = ModelName::canonical("other");
  EXPECT_TRUE(variants.check(other).ok());
}

TEST(Variants, WhatIsGoneIsForgotten) {
  const auto nobody = [](const ModelName&) { return false; };
  const auto somebody = [](const ModelName&) { return true; };
  Fixture f;
  (void)f.ask(listed(4096), wants(8192));
  f.variants.looked(kHere, {}, somebody, Instant{} + std::chrono::minutes(1));  // it loads
  f.variants.looked(kHere, {}, nobody, Instant{} + std::chrono::seconds(65));   // an old look
  EXPECT_EQ(f.ask(listed(8192), wants({})).order, set_to(8192));
  f.variants.looked(kHere, {}, nobody, Instant{} + std::chrono::minutes(2));
  EXPECT_TRUE(f.ask(kAbsent, wants({})).order.is_trivial());
  (void)f.ask(listed(4096), wants(8192));
  f.variants.emptied(BackendId{1});
  EXPECT_EQ(f.ask(listed(8192), wants({})).order, set_to(8192));
  f.variants.emptied(kHere);
  EXPECT_FALSE(f.ask(listed(4096), wants({})).reload);
}

}  // namespace
}  // namespace drover::core
