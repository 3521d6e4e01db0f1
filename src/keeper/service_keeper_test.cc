#include "keeper/service_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>

#include "keeper/testing.h"

namespace drover::keeper {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

class RecordingLog final : public Log {
 public:
  void write(LogLevel, std::string_view event, std::span<const LogField> fields) override {
    text += event;
    for (const LogField& field : fields) {
      if (const auto* value = std::get_if<std::string_view>(&field.value)) {
        text += " " + std::string(field.key) + "=" + std::string(*value);
      }
    }
    text += "\n";
  }
  std::string text;
};

// A systemctl that notes how it was called and answers what the test wants.
constexpr char kSystemctl[] = R"sh(#!/bin/sh
cd "$(dirname "$0")" || exit 1
echo "$@" >>calls
case "$*" in
  *restart*) [ ! -e refuse ] || { echo "Access denied"; exit 1; } ;;
  show*) cat answer ;;
esac
)sh";

class ServiceKeeperTest : public ::testing::Test {
 protected:
  ServiceKeeperTest() {
    folder_.write("systemctl", kSystemctl);
    ::chmod(folder_.path("systemctl").c_str(), 0755);
    old_path_ = std::getenv("PATH");
    ::setenv("PATH", (folder_.path() + ":" + old_path_).c_str(), 1);
    answer("active", "running");
  }
  ~ServiceKeeperTest() override {
    gateway_.reset();
    keeper_.reset();
    loop_.abandon();
    ::setenv("PATH", old_path_.c_str(), 1);
  }

  void answer(const std::string& active, const std::string& sub) {
    folder_.write("answer",
                  "Id=drover-ollama@gpu0.service\nActiveState=" + active + "\nSubState=" + sub +
                      "\nResult=signal\nNRestarts=4\nMainPID=" + std::to_string(::getpid()) + "\n");
  }
  std::string socket() const { return folder_.path("keeper.sock"); }
  Result<std::unique_ptr<ServiceKeeper>> start() {
    ServiceKeeper::Options options;
    options.welcome.supervised = {{"gpu0", "http://127.0.0.1:11440", {"GPU-1"}, false, 2}};
    options.socket = socket();
    options.interval = 1ms;
    return ServiceKeeper::start(loop_, std::move(options), log_);
  }
  void start_well() {
    auto keeper = start();
    ASSERT_TRUE(keeper) << keeper.error().message;
    keeper_ = *std::move(keeper);
  }
  void connect() {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, socket().c_str(), sizeof(address.sun_path) - 1);
    ASSERT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    gateway_.emplace(loop_, link_stream(loop_, fd), MessageReader(),
                     Link::Heard{[this](Message message) { heard_.push_back(std::move(message)); },
                                 [](const std::string&) {}});
    gateway_->start();
  }
  // What never comes is ended by the time limit of the test program.
  template <class Condition>
  void until(Condition condition) {
    while (!condition()) loop_.turn(loop_.now() + 10ms);
  }
  std::optional<InstanceProcess> newest() const {
    for (auto each = heard_.rbegin(); each != heard_.rend(); ++each) {
      if (const auto* process = std::get_if<Process>(&*each)) return process->process;
    }
    return std::nullopt;
  }
  void until_state(ProcessState state) {
    until([&] { return newest() && newest()->state == state; });
  }
  std::string calls() const {
    std::ifstream file(folder_.path("calls"));
    return {std::istreambuf_iterator<char>(file), {}};
  }

  testing::Folder folder_;
  std::string old_path_;
  RecordingLog log_;
  net::EpollLoop loop_;
  std::unique_ptr<ServiceKeeper> keeper_;
  std::optional<Link> gateway_;
  std::vector<Message> heard_;
};

TEST_F(ServiceKeeperTest, AGatewayIsWelcomedAndToldOfTheInstances) {
  start_well();
  connect();
  until_state(ProcessState::kRunning);
  const auto* welcome = std::get_if<Welcome>(&heard_.front());
  ASSERT_NE(welcome, nullptr);
  EXPECT_EQ(welcome->supervised.at(0).url, "http://127.0.0.1:11440");
  EXPECT_EQ(newest()->starts, 5U);
  EXPECT_EQ(newest()->pid, ::getpid());
  EXPECT_GE(newest()->processes, 1U);
  EXPECT_GT(newest()->rss_bytes, 0U);
  EXPECT_EQ(keeper_->summary(), "1 instance, 1 running; 1 gateway");
  answer("failed", "failed");
  until_state(ProcessState::kQuarantined);
  EXPECT_THAT(newest()->reason, HasSubstr("systemctl restart drover-ollama@gpu0.service"));
}

TEST_F(ServiceKeeperTest, ARestartIsAskedOfSystemd) {
  start_well();
  connect();
  until_state(ProcessState::kRunning);
  gateway_->send(Served{0});
  gateway_->send(Restart{7, RestartKind::kFault, "there is none"});
  gateway_->send(Restart{0, RestartKind::kFault, "it hangs"});
  until([&] { return calls().find("restart") != std::string::npos; });
  EXPECT_THAT(calls(), HasSubstr(" restart drover-ollama@gpu0.service\n"));
  EXPECT_THAT(log_.text, HasSubstr("instance=gpu0 kind=fault reason=it hangs"));
}

TEST_F(ServiceKeeperTest, ARestartThatSystemdRefusesIsSaidWithTheRemedy) {
  folder_.write("refuse", "");
  start_well();
  connect();
  gateway_->send(Restart{0, RestartKind::kOperator, "wanted"});
  until([&] { return log_.text.find("restart refused") != std::string::npos; });
  EXPECT_THAT(log_.text, HasSubstr("Access denied"));
  EXPECT_THAT(log_.text, HasSubstr("polkitd"));
}

TEST_F(ServiceKeeperTest, AFaultOfAnInstanceThatDoesNotRunIsAnOldStory) {
  answer("activating", "auto-restart");
  start_well();
  connect();
  until_state(ProcessState::kWaiting);
  gateway_->send(Restart{0, RestartKind::kFault, "it hangs"});
  gateway_->send(Restart{0, RestartKind::kOperator, "wanted"});
  until([&] { return calls().find("restart") != std::string::npos; });
  EXPECT_EQ(log_.text.find("it hangs"), std::string::npos);
}

TEST_F(ServiceKeeperTest, AGatewayThatBreaksOffIsDropped) {
  start_well();
  connect();
  until_state(ProcessState::kRunning);
  gateway_.reset();
  until([&] { return keeper_->summary() == "1 instance, 1 running; 0 gateways"; });
  heard_.clear();
  connect();
  until_state(ProcessState::kRunning);
}

TEST_F(ServiceKeeperTest, TheSocketIsForTheGroupAndGoesWithTheKeeper) {
  start_well();
  struct stat found{};
  ASSERT_EQ(::stat(socket().c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777U, 0660U);
  auto second = start();
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("another keeper serves there"));
  keeper_.reset();
  EXPECT_NE(::stat(socket().c_str(), &found), 0);
}

TEST_F(ServiceKeeperTest, ASocketLeftBehindIsRemovedAndAnotherFileIsNot) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, socket().c_str(), sizeof(address.sun_path) - 1);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ::close(fd);
  start_well();
  keeper_.reset();
  folder_.write("keeper.sock", "precious");
  auto refused = start();
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("a file that is no socket"));
}

}  // namespace
}  // namespace drover::keeper
