#include "net/signals.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>

#include "base/check.h"

namespace drover::net {
namespace {

sigset_t set_of(std::initializer_list<int> numbers) {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : numbers) sigaddset(&set, number);
  return set;
}

}  // namespace

void block_signals(std::initializer_list<int> numbers) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  const sigset_t set = set_of(numbers);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

Signals::Signals(EpollLoop& loop, std::initializer_list<int> numbers,
                 std::function<void(int)> heard)
    : loop_(loop), heard_(std::move(heard)) {
  block_signals(numbers);
  const sigset_t set = set_of(numbers);
  fd_ = ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  DROVER_ASSERT(fd_ >= 0);
  DROVER_ASSERT(loop_.watch(fd_, EPOLLIN, *this));
}

Signals::~Signals() {
  loop_.forget(fd_);
  ::close(fd_);
}

void Signals::on_events(std::uint32_t) {
  signalfd_siginfo info{};
  while (::read(fd_, &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
    const int number = static_cast<int>(info.ssi_signo);
    loop_.post([this, number] { heard_(number); });
  }
}

}  // namespace drover::net
