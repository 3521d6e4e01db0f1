#include "net/cares_resolver.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "net/testing.h"

namespace drover::net {
namespace {

using namespace testing;
using Answer = std::optional<Result<std::vector<Endpoint>>>;

constexpr Duration kPatience = 20s;

// A name server on 127.0.0.1 that lives in the loop of its resolver.
class NameServer final : public EpollLoop::Watch {
 public:
  explicit NameServer(EpollLoop& loop) : loop_(loop) {
    fd_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_storage address;
    socklen_t size = Endpoint::parse("127.0.0.1:0")->to_sockaddr(address);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    size = sizeof(address);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    at_ = Endpoint::from_sockaddr(reinterpret_cast<sockaddr*>(&address));
    EXPECT_TRUE(loop_.watch(fd_, EPOLLIN, *this));
  }
  ~NameServer() {
    loop_.forget(fd_);
    ::close(fd_);
  }
  CaresOptions options() const { return {.servers = {at_}, .query_timeout = 50ms, .tries = 1}; }

  std::map<std::string, std::vector<std::string>> names;  // address literals
  std::uint32_t ttl = 10;
  bool silent = false;
  int queries = 0;

 private:
  void on_events(std::uint32_t) override {
    char query[512];
    sockaddr_storage from{};
    socklen_t size = sizeof(from);
    const ssize_t got =
        ::recvfrom(fd_, query, sizeof(query), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (got < 12) return;
    ++queries;
    if (silent) return;
    const std::string reply = answer({query, static_cast<std::size_t>(got)});
    ::sendto(fd_, reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
  }

  std::string answer(const std::string& query) const {
    std::string name;
    std::size_t at = 12;
    while (query.at(at) != 0) {
      const auto length = static_cast<std::size_t>(query.at(at));
      name += (name.empty() ? "" : ".") + query.substr(at + 1, length);
      at += length + 1;
    }
    const bool wants_v6 = query.at(at + 2) == 28;
    const std::string question = query.substr(12, at + 5 - 12);
    std::string records;
    char count = 0;
    const auto known = names.find(name);
    if (known != names.end()) {
      for (const std::string& address : known->second) {
        const Endpoint endpoint = *Endpoint::from_literal(address, 0);
        if (endpoint.is_v6() != wants_v6) continue;
        records += record(endpoint);
        ++count;
      }
    }
    const char code = known == names.end() ? 3 : 0;
    std::string head = query.substr(0, 2);
    head += {'\x81', static_cast<char>('\x80' | code), 0, 1, 0, count, 0, 0, 0, 0};
    return head + question + records;
  }

  std::string record(const Endpoint& endpoint) const {
    sockaddr_storage address;
    endpoint.to_sockaddr(address);
    const auto* raw = reinterpret_cast<const char*>(&address);
    const bool v6 = endpoint.is_v6();
    std::string out = {'\xc0', 12, 0, v6 ? char{28} : char{1}, 0, 1};
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(ttl >> shift & 0xff);
    out += {0, v6 ? char{16} : char{4}};
    return out + (v6 ? std::string(raw + offsetof(sockaddr_in6, sin6_addr), 16)
                     : std::string(raw + offsetof(sockaddr_in, sin_addr), 4));
  }

  EpollLoop& loop_;
  int fd_ = -1;
  Endpoint at_;
};

Task<void> resolve_into(Resolver& resolver, HostPort name, Instant deadline, Cancel* cancel,
                        Answer& out) {
  Result<std::vector<Endpoint>> resolved = co_await resolver.resolve(name, deadline, cancel);
  out.emplace(std::move(resolved));
}

Answer ask(EpollLoop& loop, Resolver& resolver, const std::string& host,
           Duration patience = kPatience) {
  Answer out;
  run_to_end(loop, resolve_into(resolver, {host, 80}, loop.now() + patience, nullptr, out));
  return out;
}

std::vector<std::string> texts(const Answer& answer) {
  std::vector<std::string> out;
  for (const Endpoint& endpoint : answer->value()) out.push_back(endpoint.to_string());
  std::sort(out.begin(), out.end());
  return out;
}

TEST(CaresResolver, AnswersLiteralsAndLocalhostWithoutAsking) {
  EpollLoop loop;
  NameServer server(loop);
  CaresResolver resolver(loop, server.options());
  EXPECT_EQ(ask(loop, resolver, "10.1.2.3")->value().front().to_string(), "10.1.2.3:80");
  EXPECT_EQ(ask(loop, resolver, "fd00::1")->value().front().to_string(), "[fd00::1]:80");
  const Answer local = ask(loop, resolver, "LocalHost");
  ASSERT_EQ(local->value().size(), 2u);
  EXPECT_EQ(local->value()[0].to_string(), "127.0.0.1:80");
  EXPECT_EQ(local->value()[1].to_string(), "[::1]:80");
  EXPECT_EQ(server.queries, 0);
}

TEST(CaresResolver, FindsIpv4AndIpv6Addresses) {
  EpollLoop loop;
  NameServer server(loop);
  server.names["gpu.test"] = {"10.0.0.1", "10.0.0.2", "fd00::7"};
  CaresResolver resolver(loop, server.options());
  EXPECT_EQ(texts(ask(loop, resolver, "gpu.test")),
            (std::vector<std::string>{"10.0.0.1:80", "10.0.0.2:80", "[fd00::7]:80"}));
}

TEST(CaresResolver, AsksAgainOnlyWhenTheAnswerIsOld) {
  EpollLoop loop;
  NameServer server(loop);
  server.names["gpu.test"] = {"10.0.0.1"};
  CaresOptions options = server.options();
  options.longest_age = options.shortest_age = 1h;
  CaresResolver keeps(loop, options);
  ask(loop, keeps, "gpu.test");
  const int once = server.queries;
  server.names["gpu.test"] = {"10.0.0.2"};
  EXPECT_EQ(ask(loop, keeps, "gpu.test")->value().front().to_string(), "10.0.0.1:80");
  EXPECT_EQ(server.queries, once);

  options.longest_age = options.shortest_age = 0ns;
  CaresResolver forgets(loop, options);
  ask(loop, forgets, "gpu.test");
  server.names["gpu.test"] = {"10.0.0.3"};
  EXPECT_EQ(ask(loop, forgets, "gpu.test")->value().front().to_string(), "10.0.0.3:80");
}

TEST(CaresResolver, WaitersOfOneNameShareOneQuery) {
  EpollLoop loop;
  NameServer server(loop);
  server.names["gpu.test"] = {"10.0.0.1"};
  CaresResolver resolver(loop, server.options());
  Answer a, b;
  loop.spawn(resolve_into(resolver, {"gpu.test", 1}, kNever, nullptr, a));
  run_to_end(loop, resolve_into(resolver, {"gpu.test", 2}, kNever, nullptr, b));
  while (!a) loop.turn(loop.now() + 10ms);
  EXPECT_EQ(a->value().front().to_string(), "10.0.0.1:1");
  EXPECT_EQ(b->value().front().to_string(), "10.0.0.1:2");
  EXPECT_EQ(server.queries, 2) << "one for each family";
}

TEST(CaresResolver, AnUnknownNameIsAnErrorWithWords) {
  EpollLoop loop;
  NameServer server(loop);
  CaresResolver resolver(loop, server.options());
  const Answer out = ask(loop, resolver, "nobody.test");
  ASSERT_FALSE(out->ok());
  EXPECT_EQ(out->error().kind, ErrorKind::kResolve);
  EXPECT_EQ(out->error().retry, Retry::kSafe);
  EXPECT_TRUE(out->error().message.starts_with("resolve nobody.test: ")) << out->error().message;
}

TEST(CaresResolver, AFailedRefreshKeepsTheLastGoodAnswer) {
  EpollLoop loop;
  NameServer server(loop);
  server.names["gpu.test"] = {"10.0.0.1"};
  CaresOptions options = server.options();
  options.longest_age = options.shortest_age = 0ns;
  CaresResolver resolver(loop, options);
  ask(loop, resolver, "gpu.test");
  server.names.clear();
  EXPECT_EQ(texts(ask(loop, resolver, "gpu.test")), std::vector<std::string>{"10.0.0.1:80"});
  const int asked = server.queries;
  EXPECT_EQ(texts(ask(loop, resolver, "gpu.test")), std::vector<std::string>{"10.0.0.1:80"});
  EXPECT_EQ(server.queries, asked) << "not asked again for a while";
}

TEST(CaresResolver, ARefreshThatTakesTooLongGivesTheLastGoodAnswer) {
  EpollLoop loop;
  NameServer server(loop);
  server.names["gpu.test"] = {"10.0.0.1"};
  CaresOptions options = server.options();
  options.longest_age = options.shortest_age = 0ns;
  options.query_timeout = 1h;
  CaresResolver resolver(loop, options);
  ask(loop, resolver, "gpu.test");
  server.silent = true;
  EXPECT_EQ(texts(ask(loop, resolver, "gpu.test", 1ms)), std::vector<std::string>{"10.0.0.1:80"});
}

TEST(CaresResolver, GivesUpOnASilentServer) {
  EpollLoop loop;
  NameServer server(loop);
  server.silent = true;
  CaresResolver resolver(loop, server.options());
  const Answer out = ask(loop, resolver, "gpu.test");
  EXPECT_EQ(out->error().kind, ErrorKind::kResolve);
}

TEST(CaresResolver, HonoursDeadlineAndCancelAndSurvivesTheLateAnswer) {
  EpollLoop loop;
  NameServer server(loop);
  server.silent = true;
  server.names["gpu.test"] = {"10.0.0.1"};
  CaresOptions options = server.options();
  options.tries = 2;
  CaresResolver resolver(loop, options);
  EXPECT_EQ(ask(loop, resolver, "gpu.test", 1ms)->error().kind, ErrorKind::kTimeout);

  Cancel cancel;
  Answer cancelled;
  loop.spawn(resolve_into(resolver, {"gpu.test", 80}, kNever, &cancel, cancelled));
  loop.turn(loop.now());
  cancel.trigger(CancelReason::kClientGone);
  server.silent = false;  // c-ares' second try gets its answer, and nobody waits for it
  while (!cancelled) loop.turn(loop.now());
  EXPECT_EQ(cancelled->error().kind, ErrorKind::kCancelled);
  EXPECT_EQ(texts(ask(loop, resolver, "gpu.test")), std::vector<std::string>{"10.0.0.1:80"});
}

TEST(CaresResolver, CanBeDestroyedWhileAQueryIsUnderWay) {
  EpollLoop loop;
  NameServer server(loop);
  server.silent = true;
  Answer out;
  {
    CaresResolver resolver(loop, server.options());
    loop.spawn(resolve_into(resolver, {"gpu.test", 80}, kNever, nullptr, out));
    loop.turn(loop.now());
  }
  loop.turn(loop.now() + 1ms);
  loop.abandon();
  EXPECT_FALSE(out);
}

}  // namespace
}  // namespace drover::net
