#include "net/child_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "net/testing.h"

namespace drover::net {
namespace {

using namespace std::chrono_literals;

struct Ran {
  ExitStatus status;
  std::string output;
};

Task<void> watch(ChildProcess& child, EpollLoop& loop) {
  const WaitResult result = co_await child.wait(loop.now() + 20s);
  EXPECT_EQ(result, WaitResult::kReady);
  loop.stop();
}

std::string read_all(int fd) {
  std::string text;
  char buffer[4096];
  ssize_t count = 0;
  while ((count = ::read(fd, buffer, sizeof(buffer))) > 0) {
    text.append(buffer, static_cast<std::size_t>(count));
  }
  return text;
}

Ran run_shell(const std::string& script, std::vector<std::string> environment = {}) {
  EpollLoop loop;
  int fds[2];
  EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
  SpawnOptions options;
  options.argv = {"/bin/sh", "-c", script};
  options.environment = std::move(environment);
  options.descriptors = {{fds[1], STDOUT_FILENO}};
  auto child = ChildProcess::start(loop, options);
  EXPECT_TRUE(child.ok());
  ::close(fds[1]);
  loop.spawn(watch(**child, loop));
  loop.run();
  Ran ran{(*child)->status(), read_all(fds[0])};
  ::close(fds[0]);
  return ran;
}

TEST(ChildProcess, TellsHowItEnded) {
  EXPECT_TRUE(run_shell("exit 0").status.clean());
  EXPECT_EQ(run_shell("exit 3").status.to_string(), "exit code 3");
  EXPECT_EQ(run_shell("kill -9 $$").status.to_string(), "killed by signal 9 (KILL)");
}

TEST(ChildProcess, GetsTheEnvironmentThatIsNamedAndNoOther) {
  EXPECT_EQ(
      run_shell("/usr/bin/env | /usr/bin/grep -v -e ^PWD= -e ^_= -e ^SHLVL= ; :", {"ONLY=this"})
          .output,
      "ONLY=this\n");
}

TEST(ChildProcess, InheritsNoDescriptorButThoseThatAreNamed) {
  const int secret = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const std::string listed = run_shell("for f in /proc/self/fd/*; do echo ${f##*/}; done").output;
  ::close(secret);
  // 3 is the shell's own look at the directory, if it keeps it open.
  EXPECT_TRUE(listed == "0\n1\n2\n3\n" || listed == "0\n1\n2\n") << listed;
}

TEST(ChildProcess, LeadsASessionOfItsOwn) {
  EXPECT_EQ(run_shell("[ $(/usr/bin/cut -d' ' -f6 /proc/$$/stat) = $$ ]").status.code, 0);
}

TEST(ChildProcess, AProgramThatCannotRunIsAnErrorOfTheStart) {
  EpollLoop loop;
  SpawnOptions options;
  options.argv = {"/nonexistent/ollama", "serve"};
  const auto child = ChildProcess::start(loop, options);
  ASSERT_FALSE(child.ok());
  EXPECT_EQ(child.error().message, "cannot run /nonexistent/ollama: no such file or directory");
}

TEST(ChildProcess, IsKilledWithItsOwner) {
  EpollLoop loop;
  SpawnOptions options;
  options.argv = {"/bin/sh", "-c", "while :; do /bin/sleep 1; done"};
  pid_t pid = 0;
  {
    auto child = ChildProcess::start(loop, options);
    ASSERT_TRUE(child.ok());
    pid = (*child)->pid();
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_NE(::kill(pid, 0), 0);
}

}  // namespace
}  // namespace drover::net
