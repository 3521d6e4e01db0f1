#include "net/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "net/epoll_stream.h"

namespace drover::net {
namespace {

constexpr int kSpareFrom = 100;  // where descriptors wait while the low numbers are arranged

Error system_error(const std::string& what, int error) {
  return {ErrorKind::kSystem, Origin::kSelf, Retry::kNever,
          fmt::format("{}: {}", what, error_words(error))};
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> all;
  all.reserve(texts.size() + 1);
  for (const std::string& text : texts) all.push_back(const_cast<char*>(text.c_str()));
  all.push_back(nullptr);
  return all;
}

// Everything that the child needs, made before the fork: between fork and exec only calls that are
// safe in a copy of one thread of a process with several.
struct Recipe {
  std::vector<char*> argv;
  std::vector<char*> environment;
  std::vector<std::pair<int, int>> descriptors;
  bool own_session = true;
  int death_signal = 0;
  pid_t parent = 0;
  int cgroup_procs = -1;
  int report = -1;  // errno goes here; closed by a successful exec
};

[[noreturn]] void fail(const Recipe& recipe) {
  const int error = errno;
  [[maybe_unused]] const ssize_t told = ::write(recipe.report, &error, sizeof(error));
  ::_exit(127);
}

void arrange_descriptors(const Recipe& recipe) {
  // Out of the way first, so that no target number is taken by a source that is still needed.
  int moved[8];
  const std::size_t count = std::min<std::size_t>(recipe.descriptors.size(), std::size(moved));
  for (std::size_t i = 0; i < count; ++i) {
    moved[i] = ::fcntl(recipe.descriptors[i].first, F_DUPFD_CLOEXEC, kSpareFrom);
    if (moved[i] < 0) fail(recipe);
  }
  const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nothing < 0 || ::dup2(nothing, STDIN_FILENO) < 0) fail(recipe);
  for (std::size_t i = 0; i < count; ++i) {
    if (::dup2(moved[i], recipe.descriptors[i].second) < 0) fail(recipe);
  }
}

[[noreturn]] void become(const Recipe& recipe) {
  if (recipe.own_session) ::setsid();
  if (recipe.cgroup_procs >= 0 && ::write(recipe.cgroup_procs, "0", 1) != 1) fail(recipe);
  if (recipe.death_signal != 0) {
    if (::prctl(PR_SET_PDEATHSIG, recipe.death_signal) != 0) fail(recipe);
    if (::getppid() != recipe.parent) ::_exit(127);  // it died before we asked
  }
  arrange_descriptors(recipe);
  for (int number = 1; number < NSIG; ++number) std::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(recipe.argv.front(), recipe.argv.data(), recipe.environment.data());
  fail(recipe);
}

}  // namespace

Result<pid_t> spawn(const SpawnOptions& options) {
  DROVER_ASSERT(!options.argv.empty() && options.descriptors.size() <= 8);
  int report[2];
  if (::pipe2(report, O_CLOEXEC) != 0) return system_error("pipe", errno);
  // Beyond the low numbers, which the program's own descriptors may be put on.
  const int report_write = ::fcntl(report[1], F_DUPFD_CLOEXEC, kSpareFrom);
  ::close(report[1]);
  Recipe recipe;
  recipe.argv = pointers(options.argv);
  recipe.environment = pointers(options.environment);
  recipe.descriptors = options.descriptors;
  recipe.own_session = options.session == SpawnOptions::Session::kOwn;
  recipe.death_signal = options.signal_on_our_death;
  recipe.parent = ::getpid();
  recipe.report = report_write;
  if (!options.cgroup.empty()) {
    recipe.cgroup_procs =
        ::open((options.cgroup + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC);
  }
  const pid_t pid = ::fork();
  if (pid == 0) become(recipe);
  const int fork_error = errno;
  ::close(report_write);
  if (recipe.cgroup_procs >= 0) ::close(recipe.cgroup_procs);
  int error = 0;
  ssize_t told = 0;
  if (pid > 0) {
    do {
      told = ::read(report[0], &error, sizeof(error));
    } while (told < 0 && errno == EINTR);
  }
  ::close(report[0]);
  if (pid < 0) return system_error("cannot start a process", fork_error);
  if (told != static_cast<ssize_t>(sizeof(error))) return pid;
  ::waitpid(pid, nullptr, 0);
  return system_error(fmt::format("cannot run {}", options.argv.front()), error);
}

ExitStatus exit_status(int wait_status) {
  if (WIFSIGNALED(wait_status)) return {0, WTERMSIG(wait_status)};
  return {WEXITSTATUS(wait_status), 0};
}

std::string ExitStatus::to_string() const {
  if (signal == 0) return fmt::format("exit code {}", code);
  const char* name = ::sigabbrev_np(signal);
  return fmt::format("killed by signal {} ({})", signal, name == nullptr ? "?" : name);
}

Result<std::unique_ptr<ChildProcess>> ChildProcess::start(EpollLoop& loop,
                                                          const SpawnOptions& options) {
  Result<pid_t> pid = spawn(options);
  if (!pid) return std::move(pid).error();
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0));
  if (pidfd < 0) {
    const int error = errno;
    ::kill(*pid, SIGKILL);
    ::waitpid(*pid, nullptr, 0);
    return system_error("pidfd_open", error);
  }
  return std::unique_ptr<ChildProcess>(
      new ChildProcess(loop, *pid, pidfd));  // tidy: allow(new) private ctor
}

ChildProcess::ChildProcess(EpollLoop& loop, pid_t pid, int pidfd)
    : loop_(loop), pid_(pid), pidfd_(pidfd), ended_(loop) {
  DROVER_ASSERT(loop_.watch(pidfd_, EPOLLIN, *this));
}

ChildProcess::~ChildProcess() {
  loop_.forget(pidfd_);
  ::close(pidfd_);
  if (ended()) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void ChildProcess::signal(int number) {
  if (!ended()) ::kill(pid_, number);
}

void ChildProcess::on_events(std::uint32_t) {
  int status = 0;
  if (ended() || ::waitpid(pid_, &status, WNOHANG) != pid_) return;
  status_ = exit_status(status);
  loop_.unwatch(pidfd_);
  ended_.set();
}

}  // namespace drover::net
