#include "core/names_in_use.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"

namespace drover::core {
namespace {

ModelName name(std::size_t number) { return ModelName::canonical("m" + std::to_string(number)); }

TEST(NamesInUse, OneNameHasOneNumberAsLongAsSomebodyUsesIt) {
  NamesInUse names;
  const NameIndex first = names.take(name(1));
  const NameIndex other = names.take(name(2));
  EXPECT_NE(first, other);
  EXPECT_EQ(names.take(name(1)), first);
  names.release(first);
  EXPECT_EQ(names.name(first), name(1));
  EXPECT_EQ(names.name(other), name(2));
}

TEST(NamesInUse, TheNumberOfOneThatHasGoneIsGivenAway) {
  NamesInUse names;
  const NameIndex first = names.take(name(1));
  const NameIndex second = names.take(name(2));
  names.release(first);
  EXPECT_EQ(names.take(name(3)), first);
  EXPECT_EQ(names.name(second), name(2));
}

// The naive model: a number for each use, and what it was taken for.
TEST(NamesInUse, AgreesWithANaiveModelOverRandomUse) {
  Rng rng(7);
  NamesInUse names;
  std::vector<std::pair<NameIndex, std::size_t>> uses;
  std::map<std::size_t, NameIndex> numbers;  // of names in use
  std::map<std::size_t, int> users;
  NameIndex most = 0;
  for (int step = 0; step < 20'000; ++step) {
    if (uses.empty() || (uses.size() < 40 && rng.below(2) == 0)) {
      const std::size_t which = rng.below(10);
      const NameIndex number = names.take(name(which));
      if (users[which]++ > 0) {
        EXPECT_EQ(number, numbers[which]);
      }
      numbers[which] = number;
      uses.emplace_back(number, which);
      most = std::max(most, number);
    } else {
      const std::size_t at = rng.below(uses.size());
      const auto [number, which] = uses[at];
      uses.erase(uses.begin() + static_cast<std::ptrdiff_t>(at));
      EXPECT_EQ(names.name(number), name(which));
      names.release(number);
      --users[which];
    }
  }
  EXPECT_LT(most, 10U) << "as many numbers as names are in use at once";
  for (const auto& [number, which] : uses) names.release(number);
  EXPECT_TRUE(names.empty());
}

}  // namespace
}  // namespace drover::core
