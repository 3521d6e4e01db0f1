#include "posix.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace drover::bench {
namespace {

// Several thousand connections are opened within a second, and a full backlog would cost a second
// of retransmission each.
constexpr int kBacklog = 4096;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

const sockaddr* generic(const sockaddr_in& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

void no_delay(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

}  // namespace

Fd::~Fd() {
  if (fd_ >= 0) ::close(fd_);
}

void die(std::string_view what) {
  std::fprintf(stderr, "bench_data_plane: %.*s: %s\n", static_cast<int>(what.size()), what.data(),
               std::strerror(errno));
  std::exit(1);
}

std::uint64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * kSecond + static_cast<std::uint64_t>(now.tv_nsec);
}

Fd listen_loopback(std::uint16_t port) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  const sockaddr_in address = loopback(port);
  if (!fd.valid() || ::bind(fd.get(), generic(address), sizeof(address)) != 0 ||
      ::listen(fd.get(), kBacklog) != 0) {
    die("listen on 127.0.0.1");
  }
  return fd;
}

std::uint16_t port_of(const Fd& socket) {
  sockaddr_in address{};
  socklen_t size = sizeof(address);
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    die("getsockname");
  }
  return ntohs(address.sin_port);
}

Fd connect_loopback(std::uint16_t port) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) die("socket (raise the limit of open files: ulimit -n)");
  const sockaddr_in address = loopback(port);
  if (::connect(fd.get(), generic(address), sizeof(address)) != 0) return {};
  ::fcntl(fd.get(), F_SETFL, O_NONBLOCK);
  no_delay(fd.get());
  return fd;
}

Fd accept_client(const Fd& listener) {
  Fd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd.valid() && errno == EMFILE) die("accept (raise the limit of open files: ulimit -n)");
  if (fd.valid()) no_delay(fd.get());
  return fd;
}

std::uint16_t free_port() { return port_of(listen_loopback()); }

std::span<epoll_event> wait_events(const Fd& epoll, std::span<epoll_event> room,
                                   std::uint64_t deadline) {
  const std::uint64_t now = now_ns();
  const std::uint64_t left = deadline > now ? deadline - now : 0;
  const timespec timeout{static_cast<std::time_t>(left / kSecond),
                         static_cast<long>(left % kSecond)};
  const int count = ::epoll_pwait2(epoll.get(), room.data(), static_cast<int>(room.size()),
                                   deadline == kNever ? nullptr : &timeout, nullptr);
  if (count < 0 && errno != EINTR) die("epoll_pwait2");
  return room.first(count < 0 ? 0 : static_cast<std::size_t>(count));
}

void watch(const Fd& epoll, int operation, int fd, std::uint32_t events, std::uint32_t index) {
  epoll_event event{};
  event.events = events;
  event.data.u32 = index;
  if (::epoll_ctl(epoll.get(), operation, fd, &event) != 0) die("epoll_ctl");
}

Cores allowed_cores() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof(set), &set) != 0) die("sched_getaffinity");
  Cores cores;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &set)) cores.push_back(i);
  }
  return cores;
}

void pin(const Cores& cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int core : cores) CPU_SET(core, &set);
  if (::sched_setaffinity(0, sizeof(set), &set) != 0) die("sched_setaffinity");
}

std::uint64_t raise_descriptors() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

void die_with_parent() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_TIMERSLACK, 1UL);
}

}  // namespace drover::bench
