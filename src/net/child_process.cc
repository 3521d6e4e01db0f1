#include "net/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/close_range.h>
#include <pwd.h>
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

// Where descriptors wait while the low numbers are arranged: above every target.
constexpr int kSpareFrom = 600;
constexpr std::size_t kMaxDescriptors = 550;

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
  const char* program = nullptr;
  std::vector<char*> argv;
  std::vector<char*> environment;
  std::vector<std::pair<int, int>> descriptors;
  std::vector<int> moved;  // in step with descriptors; filled by the child
  bool own_session = true;
  int death_signal = 0;
  pid_t parent = 0;
  bool other_user = false;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
  int report = -1;  // errno goes here; closed by a successful exec
};

[[noreturn]] void fail(const Recipe& recipe) {
  const int error = errno;
  [[maybe_unused]] const ssize_t told = ::write(recipe.report, &error, sizeof(error));
  ::_exit(127);
}

void arrange_descriptors(Recipe& recipe) {
  // Out of the way first, so that no target number is taken by a source that is still needed.
  for (std::size_t i = 0; i < recipe.moved.size(); ++i) {
    recipe.moved[i] = ::fcntl(recipe.descriptors[i].first, F_DUPFD_CLOEXEC, kSpareFrom);
    if (recipe.moved[i] < 0) fail(recipe);
  }
  // What somebody opened without close-on-exec before us does not get through either.
  ::close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nothing < 0 || ::dup2(nothing, STDIN_FILENO) < 0) fail(recipe);
  for (std::size_t i = 0; i < recipe.moved.size(); ++i) {
    if (::dup2(recipe.moved[i], recipe.descriptors[i].second) < 0) fail(recipe);
  }
}

[[noreturn]] void become(Recipe& recipe) {
  if (recipe.own_session) ::setsid();
  // Before the parent-death signal, which a change of user takes away.
  if (recipe.other_user && (::setgroups(recipe.groups.size(), recipe.groups.data()) != 0 ||
                            ::setgid(recipe.gid) != 0 || ::setuid(recipe.uid) != 0)) {
    fail(recipe);
  }
  if (recipe.death_signal != 0) {
    if (::prctl(PR_SET_PDEATHSIG, recipe.death_signal) != 0) fail(recipe);
    if (::getppid() != recipe.parent) ::_exit(127);  // it died before we asked
  }
  arrange_descriptors(recipe);
  for (int number = 1; number < NSIG; ++number) std::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(recipe.program, recipe.argv.data(), recipe.environment.data());
  fail(recipe);
}

Result<void> look_up_user(const std::string& user, Recipe& recipe) {
  const passwd* entry = ::getpwnam(user.c_str());
  if (entry == nullptr) return system_error(fmt::format("there is no user {}", user), ENOENT);
  recipe.other_user = true;
  recipe.uid = entry->pw_uid;
  recipe.gid = entry->pw_gid;
  int count = 256;  // more groups than the kernel lets a process have by default are cut
  recipe.groups.resize(static_cast<std::size_t>(count));
  if (::getgrouplist(user.c_str(), recipe.gid, recipe.groups.data(), &count) < 0) count = 256;
  recipe.groups.resize(static_cast<std::size_t>(count));
  return {};
}

}  // namespace

Result<pid_t> spawn(const SpawnOptions& options) {
  DROVER_ASSERT(!options.argv.empty() && options.descriptors.size() <= kMaxDescriptors);
  Recipe recipe;
  if (!options.user.empty()) {
    Result<void> known = look_up_user(options.user, recipe);
    if (!known) return std::move(known).error();
  }
  int report[2];
  if (::pipe2(report, O_CLOEXEC) != 0) return system_error("pipe", errno);
  // Beyond the low numbers, which the program's own descriptors may be put on.
  const int report_write = ::fcntl(report[1], F_DUPFD_CLOEXEC, kSpareFrom);
  ::close(report[1]);
  recipe.program = (options.program.empty() ? options.argv.front() : options.program).c_str();
  recipe.argv = pointers(options.argv);
  recipe.environment = pointers(options.environment);
  recipe.descriptors = options.descriptors;
  recipe.moved.resize(options.descriptors.size());
  recipe.own_session = options.session == SpawnOptions::Session::kOwn;
  recipe.death_signal = options.signal_on_our_death;
  recipe.parent = ::getpid();
  recipe.report = report_write;
  const pid_t pid = ::fork();
  if (pid == 0) become(recipe);
  const int fork_error = errno;
  ::close(report_write);
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
