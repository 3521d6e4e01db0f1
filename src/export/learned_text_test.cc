#include "export/learned_text.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace drover::exporter {
namespace {

using namespace core;

LearnedLine some_line(Rng& rng) {
  return {rng.unit() * 100, rng.unit(), rng.unit() / 3, rng.unit() * 1e-9, rng.unit() * 1e9};
}
LearnedSpeed some_speed(Rng& rng) { return {{rng.unit(), 7}, {rng.unit() / 7, 1.0 / 3}}; }
LearnedLengths some_lengths(Rng& rng) {
  LearnedLengths lengths;
  for (float& each : lengths.counts) each = static_cast<float>(rng.unit());
  lengths.samples = rng.unit() * 10;
  return lengths;
}

Learned some(std::uint64_t seed) {
  Rng rng(seed);
  Learned all{some_speed(rng), some_line(rng), some_lengths(rng), {}, {}, {}};
  all.instances.push_back({"GPU-1+GPU-2", some_speed(rng), some_line(rng)});
  all.instances.push_back({"http://a b\n%c:11434", some_speed(rng), {}});
  all.sizes.push_back({"GPU-1+GPU-2", "llama3:latest", UINT64_MAX});
  LearnedModel model{"sha256:1", "llama3:latest", 4.1, 500, some_speed(rng), some_lengths(rng), {}};
  model.at.push_back({"GPU-1+GPU-2", some_line(rng), some_line(rng), 3, 40});
  model.at.push_back({"", {}, some_line(rng), 0, 20});
  all.models.push_back(model);
  all.models.push_back({"\xff", "", 4, 0, {}, {}, {}});
  return all;
}

TEST(LearnedText, ComesBackToTheLastBit) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const Learned all = some(seed);
    const auto read = parse_learned(learned_text(all));
    ASSERT_TRUE(read.has_value());
    EXPECT_TRUE(*read == all) << "seed " << seed;
  }
  EXPECT_TRUE(parse_learned("")->models.empty());
}

TEST(LearnedText, LinesThatAreNotWhatTheyShouldBeAreRefused) {
  const std::string whole = learned_text(some(1));
  ASSERT_TRUE(parse_learned(whole));
  for (const std::string& line : std::vector<std::string>{
           "size a b -1\n", "size a b 1 2\n", "size a b\n", "size a b 1", "size a%4 b 1\n",
           "size a%zz b 1\n", "size  b 1\n", "sizes a b 1\n", "\n",
           "instance a nan 1 1 1 0 0 0 0 0\n", "instance a 1 1 1 1 inf 0 0 0 0\n",
           "instance a 1 1 1 1 -1 0 0 0 0\n", "instance a 1 1 1 1 1e30 0 0 0 0\n"}) {
    EXPECT_FALSE(parse_learned(whole + line)) << line;
  }
  EXPECT_FALSE(parse_learned("at a 0 0 0 0 0 0 0 0 0 0 1 20\n")) << "of no model";
}

TEST(LearnedText, HasABound) {
  Learned all = some(1);
  all.models.assign(2000, LearnedModel(all.models.front()));
  for (LearnedModel& model : all.models) model.at.resize(200, model.at.front());
  const std::string text = learned_text(all);
  EXPECT_LE(text.size(), kLearnedMaxBytes);
  const auto read = parse_learned(text);
  ASSERT_TRUE(read);
  EXPECT_GT(read->models.size(), 100U);
  EXPECT_LT(read->models.size(), 2000U);
}

}  // namespace
}  // namespace drover::exporter
