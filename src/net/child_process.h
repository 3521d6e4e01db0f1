#pragma once
// Starting another program, and hearing of its end as an event of a loop (pidfd).
//
// Nothing of ours leaks into it: it gets exactly the descriptors, the environment and the signal
// mask that are named. Every other descriptor is opened close-on-exec throughout drover.

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "net/epoll_loop.h"

namespace drover::net {

// The program that runs, as it was when it was started: its file may have been replaced since.
inline constexpr const char* kThisProgram = "/proc/self/exe";

struct SpawnOptions {
  std::vector<std::string> argv;
  std::string program;                   // its path, not searched for; empty: argv[0]
  std::vector<std::string> environment;  // complete: "NAME=value"
  // Our descriptor, and the number below 600 that the program finds it under; at most 550. Standard
  // input is /dev/null unless named here; standard output and error are ours unless named.
  std::vector<std::pair<int, int>> descriptors;
  // Its own session and process group, so that a terminal's Ctrl-C reaches only us.
  enum class Session : std::uint8_t { kShared, kOwn };
  Session session = Session::kOwn;
  int signal_on_our_death = 0;  // of the thread that spawned it; 0: none
  std::string user;             // whom it runs as, with that user's groups; empty: as we do
};

// Forks and executes. Errors: kSystem, when the kernel refuses or the program cannot be executed.
Result<pid_t> spawn(const SpawnOptions& options);

// How a process ended.
struct ExitStatus {
  int code = 0;    // when signal is 0
  int signal = 0;  // that killed it
  bool clean() const { return code == 0 && signal == 0; }
  std::string to_string() const;  // "exit code 1", "killed by signal 9 (KILL)"
};
ExitStatus exit_status(int wait_status);

// A child of this process. Reaps it; the destructor kills what still runs.
class ChildProcess final : private EpollLoop::Watch {
 public:
  static Result<std::unique_ptr<ChildProcess>> start(EpollLoop& loop, const SpawnOptions& options);
  ~ChildProcess();

  pid_t pid() const { return pid_; }
  bool ended() const { return status_.has_value(); }
  // Precondition: ended().
  const ExitStatus& status() const { return *status_; }
  // Nothing once it has ended: the number may be somebody else's by then.
  void signal(int number);
  // kReady once it has ended. One waiter at a time.
  Event::Awaiter wait(Instant deadline, Cancel* cancel = nullptr) {
    return ended_.wait(deadline, cancel);
  }

 private:
  ChildProcess(EpollLoop& loop, pid_t pid, int pidfd);
  void on_events(std::uint32_t events) override;

  EpollLoop& loop_;
  pid_t pid_;
  int pidfd_;
  std::optional<ExitStatus> status_;
  Event ended_;
};

}  // namespace drover::net
