#include "keeper/instance_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drover::keeper {
namespace {

using testing::HasSubstr;

std::string refusal(std::string_view text) {
  const auto list = read_instance_list(text);
  return list ? "" : list.error().message;
}

TEST(InstanceList, WhatIsWrittenIsRead) {
  const std::vector<ListedInstance> instances = {{"gpu0", 11440, {"GPU-1111"}, false},
                                                 {"both", 11441, {"GPU-1111", "GPU-2222"}, true},
                                                 {"cpu0", 11442, {}, false}};
  const std::string text = write_instance_list(instances);
  EXPECT_THAT(text, HasSubstr("\nboth 11441 GPU-1111,GPU-2222 spanning\ncpu0 11442 - pinned\n"));
  const auto list = read_instance_list(text);
  ASSERT_TRUE(list);
  EXPECT_EQ(*list, instances);
}

TEST(InstanceList, ABadLineIsSaidWithItsNumber) {
  EXPECT_THAT(refusal("# x\ngpu0 11440 -\n"), HasSubstr("line 2 of the list of instances: it is"));
  EXPECT_THAT(refusal("gpu0  11440 - pinned\n"), HasSubstr("line 1"));
  EXPECT_THAT(refusal("../a 11440 - pinned\n"), HasSubstr("'../a' is no name"));
  EXPECT_THAT(refusal("-a 11440 - pinned\n"), HasSubstr("'-a' is no name"));
  EXPECT_THAT(refusal("a 0 - pinned\n"), HasSubstr("'0' is no port"));
  EXPECT_THAT(refusal("a 65536 - pinned\n"), HasSubstr("'65536' is no port"));
  EXPECT_THAT(refusal("a 11440x - pinned\n"), HasSubstr("'11440x' is no port"));
  EXPECT_THAT(refusal("a 11440 GPU-1,,GPU-2 pinned\n"), HasSubstr("are no UUIDs"));
  EXPECT_THAT(refusal("a 11440 - loose\n"), HasSubstr("'loose' is neither"));
  EXPECT_THAT(refusal("a 1 - pinned\na 2 - pinned\n"), HasSubstr("line 2"));
  EXPECT_THAT(refusal("a 1 - pinned\nb 1 - pinned\n"), HasSubstr("an earlier line"));
}

TEST(InstanceList, AnEmptyOneHasNoInstances) {
  const auto list = read_instance_list("# nothing\n\n");
  ASSERT_TRUE(list);
  EXPECT_TRUE(list->empty());
}

}  // namespace
}  // namespace drover::keeper
