#include "net/epoll_loop.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

#include "base/check.h"
#include "net/epoll_stream.h"

namespace drover::net {
namespace {

using StreamResult = Result<std::unique_ptr<Stream>>;
using ListenerResult = Result<std::unique_ptr<Listener>>;

Instant monotonic_now() { return Instant(std::chrono::steady_clock::now().time_since_epoch()); }

bool set_option(int fd, int level, int name) {
  const int on = 1;
  return setsockopt(fd, level, name, &on, sizeof(on)) == 0;
}

// Closes unless released.
class OwnedFd {
 public:
  explicit OwnedFd(int fd) : fd_(fd) {}
  OwnedFd(const OwnedFd&) = delete;
  OwnedFd& operator=(const OwnedFd&) = delete;
  ~OwnedFd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

Error listen_error(const std::string& where, int error) {
  return {ErrorKind::kSystem, Origin::kSelf, Retry::kNever,
          fmt::format("listen on {}: {}", where, error_words(error))};
}

Error connect_error(const Endpoint& to, int error) {
  std::string words = error_words(error);
  if (is_shortage(error)) {
    return {ErrorKind::kUnavailable, Origin::kSelf, Retry::kNever,
            fmt::format("drover has no room for a connection to {}: {}", to.to_string(), words)};
  }
  Error failed{ErrorKind::kSystem, Origin::kInstance, Retry::kSafe, {}};
  if (error == ECONNREFUSED) {
    failed.kind = ErrorKind::kRefused;
    words = "refused";
  } else if (error == ETIMEDOUT) {
    failed.kind = ErrorKind::kTimeout;
    words = "timed out";
  } else if (error == ECONNRESET || error == EPIPE) {
    failed.kind = ErrorKind::kClosed;
  }
  failed.message = fmt::format("connect to {}: {}", to.to_string(), words);
  return failed;
}

Error connect_cancelled(const Endpoint& to) {
  return {ErrorKind::kCancelled, Origin::kInstance, Retry::kNever,
          fmt::format("connect to {}: cancelled", to.to_string())};
}

bool is_listening_tcp(int fd) {
  int listening = 0;
  socklen_t size = sizeof(listening);
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0) return false;
  int family = 0;
  size = sizeof(family);
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) != 0) return false;
  return listening != 0 && (family == AF_INET || family == AF_INET6);
}

bool set_flags(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  return flags >= 0 && ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
         ::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

}  // namespace

Endpoint local_endpoint(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return Endpoint::from_sockaddr(reinterpret_cast<sockaddr*>(&address));
}

Result<int> listening_socket(const Endpoint& at, ListenOptions options) {
  const std::string where = at.to_string();
  OwnedFd fd(
      ::socket(at.is_v6() ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return listen_error(where, errno);
  const bool prepared = set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR) &&
                        (!options.reuse_port || set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT)) &&
                        (!at.is_v6() || set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY));
  if (!prepared) return listen_error(where, errno);
  sockaddr_storage address{};
  const socklen_t size = at.to_sockaddr(address);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(fd.get(), options.backlog) != 0) {
    return listen_error(where, errno);
  }
  return fd.release();
}

EpollLoop::EpollLoop()
    : epoll_fd_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  DROVER_ASSERT(epoll_fd_ >= 0 && wake_fd_ >= 0);
  // Nobody reads the counter: with an edge, each write of it is news.
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = static_cast<std::uint32_t>(wake_fd_);
  DROVER_ASSERT(::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, &event) == 0);
  set_now(monotonic_now());
}

EpollLoop::~EpollLoop() {
  abandon();  // while the descriptors of the frames' streams can still be forgotten
  ::close(wake_fd_);
  ::close(epoll_fd_);
}

WallTime EpollLoop::wall_now() const {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return {static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec};
}

ListenerResult EpollLoop::listen(const Endpoint& at, ListenOptions options) {
  Result<int> fd = listening_socket(at, options);
  if (!fd) return std::move(fd).error();
  return adopt_listener(*fd);
}

ListenerResult EpollLoop::adopt_listener(int descriptor) {
  OwnedFd fd(descriptor);
  if (!is_listening_tcp(fd.get())) {
    return Error{ErrorKind::kSystem, Origin::kSelf, Retry::kNever,
                 fmt::format("descriptor {} is not a listening TCP socket", descriptor)};
  }
  const Endpoint local = local_endpoint(fd.get());
  // Accepted sockets inherit it, which saves a system call each.
  if (!set_flags(fd.get()) || !set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY)) {
    return listen_error(local.to_string(), errno);
  }
  auto listener = std::make_unique<EpollListener>(*this, fd.release(), local);
  if (!listener->open()) return listen_error(local.to_string(), errno);
  return std::unique_ptr<Listener>(std::move(listener));
}

Task<StreamResult> EpollLoop::connect(Endpoint to, Instant deadline, Cancel* cancel) {
  if (cancel != nullptr && cancel->triggered()) co_return connect_cancelled(to);
  OwnedFd fd(
      ::socket(to.is_v6() ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) co_return connect_error(to, errno);
  set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY);
  sockaddr_storage address{};
  const socklen_t size = to.to_sockaddr(address);
  const int begun = ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), size);
  if (begun != 0 && errno != EINPROGRESS && errno != EINTR) co_return connect_error(to, errno);

  auto stream = std::make_unique<EpollStream>(
      *this, fd.release(), to,
      begun == 0 ? EpollStream::Handshake::kDone : EpollStream::Handshake::kPending);
  // Only here: an epoll that watches a socket without a connection reports a hang-up.
  if (!stream->open()) co_return connect_error(to, errno);
  const WaitResult waited = co_await stream->writable(deadline, cancel);
  if (waited == WaitResult::kCancelled) co_return connect_cancelled(to);
  if (waited == WaitResult::kTimedOut) co_return connect_error(to, ETIMEDOUT);
  const int error = stream->take_error();
  if (error != 0) co_return connect_error(to, error);
  if (stream->is_self_connected()) {
    stream->reset_on_close();
    co_return connect_error(to, ECONNREFUSED);
  }
  co_return std::unique_ptr<Stream>(std::move(stream));
}

bool EpollLoop::watch(int fd, std::uint32_t events, Watch& watch) {
  const auto index = static_cast<std::size_t>(fd);
  if (index >= watched_.size()) watched_.resize(std::max(index + 1, 2 * watched_.size()));
  Watched& entry = watched_[index];
  epoll_event event{};
  event.events = events;
  event.data.u64 = (std::uint64_t{++entry.generation} << 32) | static_cast<std::uint32_t>(fd);
  if (::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) != 0) return false;
  entry.watch = &watch;
  return true;
}

void EpollLoop::rewatch(int fd, std::uint32_t events) {
  const Watched& entry = watched_[static_cast<std::size_t>(fd)];
  epoll_event event{};
  event.events = events;
  event.data.u64 = (std::uint64_t{entry.generation} << 32) | static_cast<std::uint32_t>(fd);
  ::epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event);
}

void EpollLoop::forget(int fd) {
  const auto index = static_cast<std::size_t>(fd);
  if (index < watched_.size()) watched_[index].watch = nullptr;
}

void EpollLoop::unwatch(int fd) {
  forget(fd);
  ::epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
}

void EpollLoop::poll(Instant until) {
  std::array<epoll_event, kEventsPerPoll> events;
  const int count = wait_for_events(events.data(), std::min(until, next_timer()));
  set_now(monotonic_now());
  ahead_.begin_turn();
  for (int i = 0; i < count; ++i) {
    const std::uint64_t data = events[static_cast<std::size_t>(i)].data.u64;
    const auto index = static_cast<std::size_t>(data & UINT32_MAX);
    if (index >= watched_.size()) continue;  // the wake descriptor; it only had to end the wait
    const Watched& entry = watched_[index];
    if (entry.watch == nullptr || entry.generation != data >> 32) continue;
    entry.watch->on_events(events[static_cast<std::size_t>(i)].events);
  }
}

// How many events came; 0 when the time is up, or nearly, or a signal arrived.
int EpollLoop::wait_for_events(epoll_event* events, Instant until) {
  Duration left{};
  if (until != kNever && until > now()) {
    // Coroutines ran since now() was taken; sleeping that time again would make timers late.
    left = std::max(Duration{}, until - monotonic_now());
  }
  // Whole milliseconds go as a number, which saves the kernel a fetch and a calculation (0.2 us of
  // each wait); what is left of one is waited for in the next turn, exactly.
  const auto millis = std::chrono::floor<std::chrono::milliseconds>(left);
  int count = -1;
  if (has_pwait2_ && until != kNever && millis.count() == 0 && left > Duration{}) {
    const timespec timeout{.tv_sec = 0, .tv_nsec = static_cast<long>(left.count())};
    count = ::epoll_pwait2(epoll_fd_, events, kEventsPerPoll, &timeout, nullptr);
    // Kernels before 5.11, and filters that do not know the call.
    if (count < 0 && (errno == ENOSYS || errno == EPERM)) {
      has_pwait2_ = false;
      return 0;
    }
  } else {
    constexpr std::int64_t kLongestMillis = 1'000'000'000;
    const std::int64_t rest = has_pwait2_ || millis == left ? 0 : 1;
    const std::int64_t most = std::min<std::int64_t>(millis.count() + rest, kLongestMillis);
    const int timeout = until == kNever ? -1 : static_cast<int>(most);
    count = ::epoll_wait(epoll_fd_, events, kEventsPerPoll, timeout);
  }
  DROVER_ASSERT(count >= 0 || errno == EINTR);
  return std::max(count, 0);
}

void EpollLoop::wake() {
  const std::uint64_t one = 1;
  // Fails only when 2^64 wakes were never read, which no process lives to see.
  [[maybe_unused]] const ssize_t written = ::write(wake_fd_, &one, sizeof(one));
}

}  // namespace drover::net
