#include "base/put.h"

#include <gtest/gtest.h>

#include <string>

namespace drover {
namespace {

TEST(Put, WritesEverySizeAndNothingAroundIt) {
  const std::string alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP";
  for (std::size_t size = 0; size <= alphabet.size(); ++size) {
    std::string room(alphabet.size() + 2, '.');
    char* const end = put(room.data() + 1, std::string_view(alphabet).substr(0, size));
    EXPECT_EQ(end - room.data(), static_cast<std::ptrdiff_t>(size) + 1);
    const std::string rest(alphabet.size() + 1 - size, '.');
    EXPECT_EQ(room, "." + alphabet.substr(0, size) + rest);
  }
}

TEST(Put, WritesNumbersAndSingleBytes) {
  char room[kNumberRoom + 1];
  char* const end = put(put_number(room, 18446744073709551615U), '!');
  EXPECT_EQ(std::string(room, end), "18446744073709551615!");
}

}  // namespace
}  // namespace drover
