#include "net/descriptor_limit.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace drover::net {
namespace {

TEST(DescriptorLimit, TheSoftLimitIsRaisedToTheHardOne) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit low = before;
  low.rlim_cur = 128;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  const std::uint64_t available = raise_descriptor_limit();
  rlimit after{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &after), 0);
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(after.rlim_cur, before.rlim_max);
  EXPECT_EQ(available, before.rlim_max == RLIM_INFINITY ? kUnlimited : before.rlim_max);
}

TEST(DescriptorLimit, TooFewForTheConfiguredClientsIsSaidWithTheRemedy) {
  const std::optional<std::string> warning = descriptor_warning(1024, 10'000);
  ASSERT_TRUE(warning);
  EXPECT_NE(warning->find("1024 files, which carries 320 clients"), std::string::npos) << *warning;
  EXPECT_NE(warning->find("30064"), std::string::npos) << *warning;
}

TEST(DescriptorLimit, EnoughIsNotTalkedAbout) {
  EXPECT_FALSE(descriptor_warning(30'064, 10'000));
  EXPECT_FALSE(descriptor_warning(kUnlimited, 40'000));
}

}  // namespace
}  // namespace drover::net
