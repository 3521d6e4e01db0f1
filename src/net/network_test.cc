#include "net/network.h"

#include <gtest/gtest.h>

namespace drover::net {
namespace {

bool contains(std::string_view network, std::string_view address) {
  return Network::parse(network).value().contains(Endpoint::from_literal(address, 80).value());
}

TEST(Network, HoldsTheAddressesThatShareItsFirstBits) {
  EXPECT_TRUE(contains("172.17.0.0/16", "172.17.255.1"));
  EXPECT_FALSE(contains("172.17.0.0/16", "172.18.0.1"));
  EXPECT_TRUE(contains("10.0.0.4/31", "10.0.0.5"));
  EXPECT_FALSE(contains("10.0.0.4/31", "10.0.0.6"));
  EXPECT_TRUE(contains("10.0.0.4/32", "10.0.0.4"));
  EXPECT_TRUE(contains("0.0.0.0/0", "8.8.8.8"));
  EXPECT_TRUE(contains("fd00::/8", "fd12::1"));
  EXPECT_FALSE(contains("fd00::/8", "fe80::1"));
}

TEST(Network, FamiliesAreApartButForMappedAddresses) {
  EXPECT_TRUE(contains("172.17.0.0/16", "::ffff:172.17.0.2"));
  EXPECT_FALSE(contains("0.0.0.0/0", "fd00::1"));
  EXPECT_FALSE(contains("fd00::/8", "10.0.0.1"));
  EXPECT_TRUE(contains("::/0", "10.0.0.1")) << "every address there is";
}

TEST(Network, NothingElseParses) {
  for (std::string_view text : {"", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x", "a/8",
                                "fd00::/129", "10.0.0.0/8 ", "10.0/8"}) {
    EXPECT_FALSE(Network::parse(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace drover::net
