#include "net/endpoint.h"

#include <gtest/gtest.h>

namespace drover::net {
namespace {

TEST(Endpoint, ParsesWhatItPrints) {
  for (const char* text : {"127.0.0.1:80", "0.0.0.0:0", "[::1]:11434", "[2001:db8::7]:65535"}) {
    const std::optional<Endpoint> endpoint = Endpoint::parse(text);
    ASSERT_TRUE(endpoint) << text;
    EXPECT_EQ(endpoint->to_string(), text);
    sockaddr_storage storage;
    endpoint->to_sockaddr(storage);
    EXPECT_EQ(Endpoint::from_sockaddr(reinterpret_cast<sockaddr*>(&storage)), *endpoint);
  }
}

TEST(Endpoint, ParsesNothingElse) {
  for (const char* text : {"",
                           ":",
                           ":80",
                           "127.0.0.1",
                           "127.0.0.1:",
                           "127.0.0.1:65536",
                           "127.0.0.1:-1",
                           "127.0.0.1:+1",
                           "127.0.0.1: 1",
                           "127.0.0.1:1 ",
                           "::1:80",
                           "[::1]",
                           "[::1]80",
                           "[::1:80",
                           "[127.0.0.1]:80",
                           "localhost:80",
                           "127.1:80",
                           "[fe80::1%eth0]:80",
                           "[]:1",
                           "127.0.0.1:000080",
                           "127.0.0.01:80",
                           "256.0.0.1:80",
                           "1.2.3.4.5:80",
                           "1..2.3:80",
                           "1.2.3.:80",
                           ".1.2.3:80",
                           "1.2.3.4a:80",
                           "4294967297.0.0.1:80"}) {
    EXPECT_FALSE(Endpoint::parse(text)) << text;
  }
}

TEST(Endpoint, KnowsLoopbackAndWildcard) {
  EXPECT_TRUE(Endpoint::parse("127.9.9.9:1")->is_loopback());
  EXPECT_TRUE(Endpoint::parse("[::1]:1")->is_loopback());
  EXPECT_TRUE(Endpoint::parse("[::ffff:127.0.0.1]:1")->is_loopback());
  EXPECT_FALSE(Endpoint::parse("10.0.0.1:1")->is_loopback());
  EXPECT_FALSE(Endpoint::parse("[::2]:1")->is_loopback());
  EXPECT_TRUE(Endpoint::parse("0.0.0.0:1")->is_wildcard());
  EXPECT_TRUE(Endpoint::parse("[::]:1")->is_wildcard());
  EXPECT_FALSE(Endpoint::parse("[::1]:1")->is_wildcard());
}

TEST(Endpoint, WithPortKeepsTheAddress) {
  EXPECT_EQ(Endpoint::parse("[::1]:0")->with_port(7).to_string(), "[::1]:7");
}

TEST(HostPort, BracketsIpv6Only) {
  EXPECT_EQ((HostPort{"gpu-1.lan", 11434}.to_string()), "gpu-1.lan:11434");
  EXPECT_EQ((HostPort{"::1", 80}.to_string()), "[::1]:80");
}

}  // namespace
}  // namespace drover::net
