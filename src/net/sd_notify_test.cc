#include "net/sd_notify.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace drover::net {
namespace {

// The manager's end: a bound datagram socket whose messages the test reads.
class Manager {
 public:
  // "@name" or a path, as in $NOTIFY_SOCKET.
  explicit Manager(const std::string& name) : name_(name) {
    fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    socklen_t length = sizeof(address);
    if (name.front() == '@') {
      address.sun_path[0] = '\0';
      length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    } else {
      ::unlink(name.c_str());
    }
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), length), 0);
  }
  ~Manager() {
    ::close(fd_);
    if (name_.front() == '/') ::unlink(name_.c_str());
  }

  // The next message; empty when there is none.
  std::string heard() const {
    char buffer[512];
    const ssize_t n = ::recv(fd_, buffer, sizeof(buffer), 0);
    return n > 0 ? std::string(buffer, static_cast<std::size_t>(n)) : "";
  }

 private:
  std::string name_;
  int fd_ = -1;
};

std::string abstract_name() { return "@drover-test-" + std::to_string(::getpid()); }
std::string path_name() { return testing::TempDir() + "notify-" + std::to_string(::getpid()); }

TEST(Notifier, SpeaksToAPathAndToAnAbstractName) {
  for (const std::string& name : {abstract_name(), path_name()}) {
    const Manager manager(name);
    const Result<Notifier> notifier = Notifier::to(name);
    ASSERT_TRUE(notifier) << name;
    EXPECT_TRUE(notifier->is_listened_to());
    EXPECT_TRUE(notifier->ready("two instances"));
    EXPECT_EQ(manager.heard(), "READY=1\nSTATUS=two instances");
    EXPECT_TRUE(notifier->alive());
    EXPECT_EQ(manager.heard(), "WATCHDOG=1");
    EXPECT_TRUE(notifier->stopping());
    EXPECT_EQ(manager.heard(), "STOPPING=1");
    EXPECT_EQ(manager.heard(), "");
  }
}

TEST(Notifier, AStatusCannotBringInAnotherVariable) {
  const Manager manager(abstract_name());
  const Result<Notifier> notifier = Notifier::to(abstract_name());
  ASSERT_TRUE(notifier);
  EXPECT_TRUE(notifier->status("gpu0 down\nMAINPID=1"));
  EXPECT_EQ(manager.heard(), "STATUS=gpu0 down MAINPID=1");
}

TEST(Notifier, WithoutAManagerEveryCallSucceedsAndDoesNothing) {
  const Notifier notifier;
  EXPECT_FALSE(notifier.is_listened_to());
  EXPECT_TRUE(notifier.ready("up"));
  EXPECT_TRUE(notifier.alive());
  EXPECT_FALSE(notifier.watchdog());
}

TEST(Notifier, AManagerThatIsGoneIsAnErrorAndNotACrash) {
  const Result<Notifier> notifier = Notifier::to(abstract_name());
  ASSERT_TRUE(notifier);
  EXPECT_FALSE(notifier->alive());
}

TEST(Notifier, AnAddressThatCannotBeMeantIsRefused) {
  EXPECT_FALSE(Notifier::to("relative/path"));
  EXPECT_FALSE(Notifier::to("@"));
  EXPECT_FALSE(Notifier::to("/" + std::string(200, 'x')));
  EXPECT_TRUE(Notifier::to(""));
}

TEST(Notifier, TakesItsVariablesOutOfTheEnvironment) {
  const Manager manager(abstract_name());
  ::setenv("NOTIFY_SOCKET", abstract_name().c_str(), 1);
  ::setenv("WATCHDOG_USEC", "30000000", 1);
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  const Notifier notifier = Notifier::from_environment();
  EXPECT_EQ(notifier.watchdog(), Duration(std::chrono::seconds(30)));
  EXPECT_TRUE(notifier.alive());
  EXPECT_EQ(manager.heard(), "WATCHDOG=1");
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) {
    EXPECT_EQ(std::getenv(name), nullptr) << name;
  }
}

TEST(Notifier, AWatchdogOfAnotherProcessIsNotOurs) {
  ::setenv("WATCHDOG_USEC", "30000000", 1);
  ::setenv("WATCHDOG_PID", "1", 1);
  EXPECT_FALSE(Notifier::from_environment().watchdog());
  ::setenv("WATCHDOG_USEC", "soon", 1);
  EXPECT_FALSE(Notifier::from_environment().watchdog());
}

}  // namespace
}  // namespace drover::net
