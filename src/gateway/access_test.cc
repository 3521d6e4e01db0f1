#include "gateway/access.h"

#include <gtest/gtest.h>

namespace drover::gateway {
namespace {

AccessPolicy policy() {
  return {.hosts = {"llm.example.com", "*.Lab.example"},
          .origins = {"https://Chat.example.com", "Myapp://*"},
          .hostname = "Workstation"};
}

bool host_ok(std::string_view host) { return check_host(host, policy()).ok(); }
bool origin_ok(std::string_view origin, std::string_view authority = "localhost:11434") {
  return check_origin(origin, authority, policy()).ok();
}

TEST(Access, NamesOfThisMachineAreHosts) {
  for (std::string_view host :
       {"", "localhost", "localhost:11434", "LOCALHOST:80", "workstation", "WorkStation:11434",
        "a.localhost", "printer.local:1", "host.docker.internal:11434", "Host.Docker.INTERNAL"}) {
    EXPECT_TRUE(host_ok(host)) << host;
  }
}

TEST(Access, NearAddressesAreHostsOfEitherFamily) {
  for (std::string_view host :
       {"127.0.0.1", "127.0.0.1:11434", "127.9.8.7", "0.0.0.0:11434", "10.1.2.3", "172.16.0.1:80",
        "172.31.255.255", "192.168.1.20:11434", "169.254.1.1", "100.64.0.1", "[::1]", "[::1]:11434",
        "[::]:11434", "[fe80::1]:80", "[fd00::12]", "[::ffff:127.0.0.1]:80",
        "[::ffff:192.168.0.1]"}) {
    EXPECT_TRUE(host_ok(host)) << host;
  }
}

TEST(Access, OtherAddressesAreNot) {
  for (std::string_view host :
       {"8.8.8.8", "8.8.8.8:11434", "172.32.0.1", "172.15.0.1", "192.169.0.1", "100.128.0.1",
        "[2001:db8::1]:80", "[::ffff:8.8.8.8]", "[::2]"}) {
    EXPECT_FALSE(host_ok(host)) << host;
  }
}

TEST(Access, TricksWithNamesAreRefused) {
  for (std::string_view host :
       {"evillocalhost", "localhost.evil.com", "localhost.evil.com:11434", "127.0.0.1.evil.com",
        "10.0.0.1.nip.io", "evil.com", "evil-local", "evillocal", "internal.evil.com", "xinternal",
        "workstation.evil.com", "evilworkstation", "localhost.", "llm.example.com.evil.com"}) {
    EXPECT_FALSE(host_ok(host)) << host;
  }
}

TEST(Access, AddressesInOtherSpellingsAreRefused) {
  for (std::string_view host : {"2130706433", "0x7f000001", "017700000001", "127.1", "0177.0.0.1",
                                "[::1", "1::1", "[::1%25lo]"}) {
    EXPECT_FALSE(host_ok(host)) << host;
  }
}

TEST(Access, ConfiguredHostsAreAllowedWithoutRegardToCase) {
  EXPECT_TRUE(host_ok("llm.example.com:443"));
  EXPECT_TRUE(host_ok("LLM.Example.COM"));
  EXPECT_TRUE(host_ok("gpu1.lab.example"));
  EXPECT_FALSE(host_ok("lab.example")) << "a star stands for at least one label";
  EXPECT_FALSE(host_ok("evillab.example"));
  EXPECT_TRUE(check_host("evil.com", {.hosts = {"*"}, .origins = {}, .hostname = {}}).ok());
}

TEST(Access, AnUnknownMachineNameAllowsNothing) {
  EXPECT_FALSE(check_host("anything", {}).ok());
  EXPECT_TRUE(check_host("", {}).ok()) << "HTTP/1.0 may come without a Host";
}

TEST(Access, ARefusedHostIsMisdirectedAndNamesTheSetting) {
  const Result<void> refused = check_host("evil.com:80", policy());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, ErrorKind::kMisdirected);
  EXPECT_NE(refused.error().message.find("'evil.com'"), std::string::npos);
  EXPECT_NE(refused.error().message.find("allowed_hosts"), std::string::npos);
}

TEST(Access, LocalPagesAndAppsMayAsk) {
  for (std::string_view origin :
       {"", "http://localhost", "https://localhost:3000", "http://127.0.0.1:8080",
        "http://0.0.0.0:1", "http://[::1]", "http://[::1]:3000", "HTTP://LocalHost:3000",
        "app://obsidian.md", "file://", "tauri://localhost", "vscode-webview://abc",
        "vscode-file://vscode-app"}) {
    EXPECT_TRUE(origin_ok(origin)) << origin;
  }
}

TEST(Access, OtherPagesMayNot) {
  for (std::string_view origin :
       {"null", "http://evil.com", "https://localhost.evil.com", "http://evillocalhost",
        "http://127.0.0.1.evil.com", "http://localhost@evil.com", "ftp://localhost",
        "http://127.0.0.2", "http://192.168.1.5", "moz-extension://abc", "xapp://a", "localhost",
        "https://chat.example.com.evil.com", "https://chat.example.com:8443", "myapp.evil://x"}) {
    EXPECT_FALSE(origin_ok(origin)) << origin;
  }
}

TEST(Access, ThePageOfTheSameOriginMayAsk) {
  EXPECT_TRUE(origin_ok("http://gpu1.lab.example:11434", "GPU1.lab.example:11434"));
  EXPECT_FALSE(origin_ok("http://gpu1.lab.example", "gpu1.lab.example:11434"));
  EXPECT_FALSE(origin_ok("http://gpu1.lab.example:11434", "gpu2.lab.example:11434"));
}

TEST(Access, ConfiguredOriginsAreAllowedWithoutRegardToCase) {
  EXPECT_TRUE(origin_ok("https://chat.example.com"));
  EXPECT_TRUE(origin_ok("myapp://anything"));
  EXPECT_TRUE(origin_ok("MYAPP://anything"));
  EXPECT_TRUE(check_origin("http://evil.com", "x", {.hosts = {}, .origins = {"*"}}).ok());
  EXPECT_EQ(check_origin("http://evil.com", "x", policy()).error().kind, ErrorKind::kForbidden);
}

TEST(Access, OnlyProgramsAndDroversOwnPagesMayChangeSomething) {
  const std::string_view at = "localhost:11436";
  EXPECT_TRUE(check_own_page({}, at).ok());
  EXPECT_TRUE(check_own_page({.origin = "http://LOCALHOST:11436"}, at).ok());
  EXPECT_TRUE(check_own_page({.fetch_site = "same-origin"}, at).ok());
  EXPECT_TRUE(check_own_page({.fetch_site = "none"}, at).ok());
  EXPECT_TRUE(check_own_page({.content_type = "application/json"}, at).ok());
  for (std::string_view origin : {"null", "http://localhost", "http://localhost:3000", "file://",
                                  "http://localhost:11436.evil.com"}) {
    EXPECT_FALSE(check_own_page({.origin = origin}, at).ok()) << origin;
  }
  EXPECT_FALSE(check_own_page({.origin = "null"}, "").ok());
  EXPECT_FALSE(check_own_page({.fetch_site = "cross-site"}, at).ok());
  EXPECT_FALSE(check_own_page({.content_type = "Text/Plain"}, at).ok());
  EXPECT_FALSE(check_own_page({.content_type = "multipart/form-data; boundary=x"}, at).ok());
}

WhoAsks from(std::string_view address, bool local = false) {
  return {net::Endpoint::from_literal(address, 1).value(), local};
}

TEST(CheckScope, ThroughALoopbackAddressEverybodyMayManage) {
  EXPECT_TRUE(check_scope(Scope::kManage, from("127.0.0.1", true), {}).ok());
}

TEST(CheckScope, ThroughAnyOtherOnlyTrustedNetworksMay) {
  AccessPolicy policy;
  policy.trust.push_back(net::Network::parse("172.17.0.0/16").value());
  for (std::string_view address : {"172.17.0.2", "::ffff:172.17.0.2"}) {
    EXPECT_TRUE(check_scope(Scope::kManage, from(address), policy).ok()) << address;
  }
  for (std::string_view address : {"172.18.0.2", "127.0.0.1", "fd00::1"}) {
    EXPECT_FALSE(check_scope(Scope::kManage, from(address), policy).ok()) << address;
    EXPECT_TRUE(check_scope(Scope::kUse, from(address), policy).ok()) << address;
  }
}

TEST(CheckScope, AccountsAndExperimentsAreDeniedAlike) {
  for (const Scope scope : {Scope::kIdentity, Scope::kExperimental}) {
    EXPECT_TRUE(check_scope(scope, from("127.0.0.1", true), {}).ok());
    const Result<void> denied = check_scope(scope, from("10.1.2.3"), {});
    ASSERT_FALSE(denied);
    EXPECT_NE(denied.error().message.find("may not; to grant it"), std::string::npos);
  }
}

TEST(CheckScope, TheRefusalSaysWhichLineGrantsIt) {
  const Error error = check_scope(Scope::kManage, from("::ffff:10.1.2.3"), {}).error();
  EXPECT_EQ(error.kind, ErrorKind::kForbidden);
  EXPECT_NE(error.message.find("trust: [10.1.2.3/32]"), std::string::npos) << error.message;
  const Error six = check_scope(Scope::kManage, from("fd00::1"), {}).error();
  EXPECT_NE(six.message.find("trust: [fd00::1/128]"), std::string::npos) << six.message;
}

}  // namespace
}  // namespace drover::gateway
