#include "net/socket_activation.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

namespace drover::net {
namespace {

// Descriptors in a row, far above those that the test program has, as a manager would pass them.
class Passed {
 public:
  static constexpr int kFirst = 200;

  ~Passed() {
    for (int i = 0; i < count_; ++i) ::close(kFirst + i);
  }
  void add(int fd) {
    EXPECT_GE(fd, 0);
    EXPECT_EQ(::dup2(fd, kFirst + count_), kFirst + count_);  // without close-on-exec
    ::close(fd);
    ++count_;
  }
  void add_listener() {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(::listen(fd, 8), 0);
    add(fd);
  }
  ActivationValues values(const std::string& names) const {
    return {.pid = std::to_string(::getpid()),
            .count = std::to_string(count_),
            .names = names,
            .first_fd = kFirst};
  }

 private:
  int count_ = 0;
};

TEST(SocketActivation, GivesNamedListenersThatChildrenDoNotInherit) {
  Passed passed;
  passed.add_listener();
  passed.add_listener();
  const auto sockets = read_passed_sockets(passed.values("client:admin"));
  ASSERT_TRUE(sockets) << sockets.error().message;
  ASSERT_EQ(sockets->size(), 2U);
  EXPECT_EQ((*sockets)[0].name, "client");
  EXPECT_EQ((*sockets)[0].fd, Passed::kFirst);
  EXPECT_EQ((*sockets)[1].name, "admin");
  for (const PassedSocket& socket : *sockets) {
    EXPECT_NE(::fcntl(socket.fd, F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_NE(::fcntl(socket.fd, F_GETFL) & O_NONBLOCK, 0);
  }
}

TEST(SocketActivation, ASocketWithoutANameIsUnknown) {
  Passed passed;
  passed.add_listener();
  passed.add_listener();
  const auto sockets = read_passed_sockets(passed.values("client"));
  ASSERT_TRUE(sockets);
  EXPECT_EQ((*sockets)[1].name, "unknown");
}

TEST(SocketActivation, NothingPassedIsAnEmptyList) {
  const auto sockets = read_passed_sockets({});
  ASSERT_TRUE(sockets);
  EXPECT_TRUE(sockets->empty());
}

TEST(SocketActivation, WhatIsMeantForAnotherProcessIsLeftAlone) {
  const auto sockets = read_passed_sockets({.pid = "1", .count = "2", .names = "a:b"});
  ASSERT_TRUE(sockets);
  EXPECT_TRUE(sockets->empty());
}

TEST(SocketActivation, ADatagramSocketIsRefusedWithItsName) {
  Passed passed;
  passed.add(::socket(AF_INET, SOCK_DGRAM, 0));
  const auto sockets = read_passed_sockets(passed.values("client"));
  ASSERT_FALSE(sockets);
  EXPECT_EQ(sockets.error().message,
            "descriptor 200 (client) of the socket unit is not a stream; use ListenStream=");
}

TEST(SocketActivation, AnAcceptedConnectionIsRefused) {
  Passed passed;
  passed.add(::socket(AF_INET, SOCK_STREAM, 0));
  const auto sockets = read_passed_sockets(passed.values("client"));
  ASSERT_FALSE(sockets);
  EXPECT_EQ(sockets.error().message,
            "descriptor 200 (client) of the socket unit does not listen; use Accept=no");
}

TEST(SocketActivation, AFileIsRefused) {
  Passed passed;
  passed.add(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(read_passed_sockets(passed.values("client")));
}

TEST(SocketActivation, DamagedNumbersAreRefused) {
  const std::string pid = std::to_string(::getpid());
  EXPECT_FALSE(read_passed_sockets({.pid = "me", .count = "1"}));
  EXPECT_FALSE(read_passed_sockets({.pid = pid, .count = "-1"}));
  EXPECT_FALSE(read_passed_sockets({.pid = pid, .count = "1x"}));
  EXPECT_FALSE(read_passed_sockets({.pid = pid, .count = "99999999"}));
}

TEST(SocketActivation, TakesItsVariablesOutOfTheEnvironment) {
  ::setenv("LISTEN_PID", "1", 1);
  ::setenv("LISTEN_FDS", "1", 1);
  ::setenv("LISTEN_FDNAMES", "client", 1);
  const auto sockets = take_passed_sockets();
  ASSERT_TRUE(sockets);
  EXPECT_TRUE(sockets->empty());
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) {
    EXPECT_EQ(std::getenv(name), nullptr) << name;
  }
}

}  // namespace
}  // namespace drover::net
