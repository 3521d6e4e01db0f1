#include "config/address.h"

#include <gtest/gtest.h>

namespace drover::config {
namespace {

std::string reason(std::string_view url) {
  const Result<Backend> parsed = parse_backend_url(url);
  return parsed ? "accepted" : parsed.error().message;
}

TEST(Address, HostAndPortOfEachFamily) {
  EXPECT_EQ(*parse_host_port("127.0.0.1:11434"), (HostPort{"127.0.0.1", 11434}));
  EXPECT_EQ(*parse_host_port("[::1]:80"), (HostPort{"::1", 80}));
  EXPECT_EQ(*parse_host_port("LocalHost:1"), (HostPort{"localhost", 1}));
  EXPECT_EQ(parse_host_port("[::1]:80")->to_string(), "[::1]:80");
}

TEST(Address, WhatCouldBeReadTwoWaysIsRefused) {
  for (const char* text : {"",
                           ":",
                           ":80",
                           "host",
                           "host:",
                           "host:0",
                           "host:65536",
                           "host:+80",
                           "host:80x",
                           "::1:80",
                           "[::1]",
                           "[::1]80",
                           "[::1",
                           "[127.0.0.1]:80",
                           "127.1:80",
                           "1.2.3.4.5:80",
                           "256.1.1.1:80",
                           "0x7f.0.0.1:80a",
                           "a b:80",
                           "-a:80",
                           "a-:80",
                           "a..b:80",
                           "[fe80::1%eth0]:80",
                           "http://host:80",
                           "host:80/",
                           "user@host:80",
                           "h\tost:80"}) {
    EXPECT_FALSE(parse_host_port(text).ok()) << text;
  }
  EXPECT_FALSE(parse_host_port(std::string(300, 'a') + ":80").ok());
  EXPECT_FALSE(parse_host_port(std::string_view("127.0.0.1\0x:80", 14)).ok());
  EXPECT_FALSE(parse_host_port(std::string_view("[::1\0x]:80", 10)).ok());
}

TEST(Address, OnlyAnAddressOfThisMachineCanBeListenedOn) {
  for (const char* text : {"127.0.0.1:1", "0.0.0.0:0", "[::]:1", "localhost:1"}) {
    EXPECT_TRUE(parse_listen_address(text).ok()) << text;
  }
  EXPECT_EQ(parse_listen_address("gpu1:80").error().message,
            "'gpu1:80' names a host, but only an address of this machine can be listened on; write "
            "127.0.0.1:80, or 0.0.0.0:80 for every address");
}

TEST(Address, BackendUrlsBecomeCanonical) {
  const Result<Backend> backend = parse_backend_url("HTTP://GPU1:11434/");
  ASSERT_TRUE(backend.ok());
  EXPECT_EQ(backend->url, "http://gpu1:11434");
  EXPECT_EQ(backend->address, (HostPort{"gpu1", 11434}));
  EXPECT_EQ(parse_backend_url("http://[0:0::1]:1")->url, "http://[::1]:1");
}

TEST(Address, BadUrlsSayWhyAndWhatToWrite) {
  EXPECT_EQ(reason("127.0.0.1:11434"),
            "'127.0.0.1:11434' lacks its scheme; write http://127.0.0.1:11434");
  EXPECT_EQ(reason("https://a:1"),
            "'https://a:1' asks for https, but drover speaks plain HTTP to instances; write "
            "http://host:port");
  EXPECT_EQ(reason("http://a"), "'http://a' has no port; write http://a:11434");
  EXPECT_EQ(reason("http://[::1]"), "'http://[::1]' has no port; write http://[::1]:11434");
  EXPECT_EQ(reason("http://a:1/v1"),
            "'http://a:1/v1' carries the path '/v1'; drover adds paths itself, so write only "
            "http://host:port");
  EXPECT_EQ(reason("http://u:p@a:1"),
            "'http://u:p@a:1' carries a user name or password, which Ollama does not read; write "
            "http://host:port");
  EXPECT_EQ(reason("http://0.0.0.0:11434"),
            "'http://0.0.0.0:11434' names every address, which can be listened on but not "
            "connected to; for this machine write http://127.0.0.1:11434");
  EXPECT_EQ(reason("http://:1"), "'http://:1' has no host; write http://127.0.0.1:11434");
  EXPECT_NE(reason("http://a:1?x"), "accepted");
  EXPECT_NE(reason("http://a:1#x"), "accepted");
  EXPECT_NE(reason("ftp://a:1"), "accepted");
  EXPECT_NE(reason("http://a:99999"), "accepted");
  EXPECT_NE(reason(""), "accepted");
}

TEST(Address, LocalhostIsTheUsualLoopbackAddresses) {
  EXPECT_TRUE(same_place({"localhost", 1}, {"127.0.0.1", 1}));
  EXPECT_TRUE(same_place({"::1", 1}, {"localhost", 1}));
  EXPECT_FALSE(same_place({"localhost", 1}, {"127.0.0.2", 1}));
  EXPECT_FALSE(same_place({"localhost", 1}, {"localhost", 2}));
  EXPECT_FALSE(same_place({"a", 1}, {"b", 1}));
}

TEST(Address, AWildcardListenerIsReachedThroughLoopback) {
  EXPECT_TRUE(reaches({"0.0.0.0", 1}, {"127.0.0.2", 1}));
  EXPECT_TRUE(reaches({"::", 1}, {"localhost", 1}));
  EXPECT_FALSE(reaches({"0.0.0.0", 1}, {"gpu1", 1}));
  EXPECT_FALSE(reaches({"127.0.0.1", 1}, {"127.0.0.2", 1}));
}

TEST(Address, LoopbackIsJudgedByAddressAndNotByPrefix) {
  EXPECT_TRUE((HostPort{"127.8.8.8", 1}).is_loopback());
  EXPECT_TRUE((HostPort{"::1", 1}).is_loopback());
  EXPECT_FALSE((HostPort{"127.evil.example", 1}).is_loopback());
  EXPECT_FALSE((HostPort{"0.0.0.0", 1}).is_loopback());
}

TEST(ParseListenAddress, PortZeroLetsTheKernelChoose) {
  EXPECT_EQ(parse_listen_address("127.0.0.1:0")->port, 0);
  EXPECT_FALSE(parse_listen_address("127.0.0.1:65536").ok());
  EXPECT_FALSE(parse_host_port("127.0.0.1:0").ok());
}

}  // namespace
}  // namespace drover::config
