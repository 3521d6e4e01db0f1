#include "keeper/minder.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <optional>

#include "keeper/process_tree.h"
#include "net/child_process.h"

extern char** environ;

namespace drover::keeper {
namespace {

constexpr const char* kSameUser = "-";
constexpr int kCannotStart = 127;
constexpr int kKilled = 128;  // and the signal's number, as shells do
// A process that the kernel holds in a driver dies when it lets go. Waiting for ever would hold up
// the restart of the instance on a GPU that may be well; the keeper says who is left.
constexpr int kSweepRounds = 1000;
constexpr int kSweepPauseMs = 10;

class Minder {
 public:
  Minder(std::vector<std::string> command, std::string user, int grace_ms)
      : command_(std::move(command)), user_(std::move(user)), grace_ms_(grace_ms) {}

  int run() {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    // Who kills everything named drover shall not kill those who clean up after it.
    ::prctl(PR_SET_NAME, "ollama-minder");
    sigset_t signals;
    sigemptyset(&signals);
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&signals, number);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    signals_ = ::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    if (signals_ < 0 || !start()) return kCannotStart;
    while (!status_) wait_for_news();
    sweep();
    return status_->signal == 0 ? status_->code : kKilled + status_->signal;
  }

 private:
  bool start() {
    net::SpawnOptions options;
    options.argv = command_;
    for (char** entry = environ; *entry != nullptr; ++entry) {
      options.environment.emplace_back(*entry);
    }
    options.signal_on_our_death = SIGKILL;
    options.user = user_;
    Result<pid_t> pid = net::spawn(options);
    if (!pid) {
      std::fprintf(stderr, "%s\n", pid.error().message.c_str());
      return false;
    }
    pid_ = *pid;
    return true;
  }

  // A signal, the end of the lifeline, or the end of the grace.
  void wait_for_news() {
    std::array<pollfd, 2> fds = {pollfd{signals_, POLLIN, 0},
                                 pollfd{lifeline_ ? STDIN_FILENO : -1, POLLIN, 0}};
    const int count = ::poll(fds.data(), fds.size(), stopping_ ? grace_ms_ : -1);
    if (count == 0 && stopping_) return kill_tree();
    if (fds[1].revents != 0) on_lifeline();
    if (fds[0].revents != 0) on_signals();
  }

  // Nothing is ever written to it: readable is its end.
  void on_lifeline() {
    char byte = 0;
    if (::read(STDIN_FILENO, &byte, 1) > 0) return;
    lifeline_ = false;
    kill_tree();
  }

  void on_signals() {
    signalfd_siginfo info{};
    bool stop = false;
    while (::read(signals_, &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
      stop = stop || info.ssi_signo != SIGCHLD;
    }
    reap();
    if (!stop || stopping_ || status_) return;
    stopping_ = true;
    ::kill(pid_, SIGTERM);
  }

  void reap() {
    int status = 0;
    pid_t ended = 0;
    while ((ended = ::waitpid(-1, &status, WNOHANG)) > 0) {
      if (ended == pid_) status_ = net::exit_status(status);
    }
  }

  // Killing the server first would let it start another runner in between.
  void kill_tree() const {
    for (const pid_t pid : process_tree(::getpid())) {
      if (pid != ::getpid()) ::kill(pid, SIGKILL);
    }
  }

  // Until no child is left: killing a parent makes its children ours.
  void sweep() {
    for (int round = 0; round < kSweepRounds; ++round) {
      kill_tree();
      reap();
      if (::waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD) return;
      ::poll(nullptr, 0, kSweepPauseMs);
    }
    std::fprintf(stderr,
                 "a runner cannot be killed: the kernel holds it, most likely in a GPU "
                 "driver\n");
  }

  std::vector<std::string> command_;
  std::string user_;
  int grace_ms_;
  int signals_ = -1;
  pid_t pid_ = 0;
  bool lifeline_ = true;
  bool stopping_ = false;
  std::optional<net::ExitStatus> status_;
};

}  // namespace

std::vector<std::string> minder_arguments(const MinderCommand& command) {
  const auto grace = std::chrono::duration_cast<std::chrono::milliseconds>(command.grace);
  std::vector<std::string> all = {command.drover, kMinderVerb, std::to_string(grace.count()),
                                  command.user.empty() ? kSameUser : command.user};
  all.insert(all.end(), command.command.begin(), command.command.end());
  return all;
}

int run_minder(const std::vector<std::string>& arguments) {
  int grace_ms = 0;
  const bool readable =
      arguments.size() >= 3 &&
      std::from_chars(arguments[0].data(), arguments[0].data() + arguments[0].size(), grace_ms)
              .ec == std::errc();
  if (!readable || grace_ms < 0) {
    std::fprintf(stderr, "drover minder: is started by drover serve, not by hand\n");
    return 2;
  }
  const std::string user = arguments[1] == kSameUser ? "" : arguments[1];
  return Minder({arguments.begin() + 2, arguments.end()}, user, grace_ms).run();
}

}  // namespace drover::keeper
