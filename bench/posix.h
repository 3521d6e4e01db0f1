#pragma once
// The few system calls that the load tools share. They use none of drover's own network code, so
// that a fault in it cannot hide in the measurement of it.

#include <sys/epoll.h>

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace drover::bench {

// Owns a descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd();
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// Ends the program: a system call failed that only a broken machine or a slip here lets fail.
[[noreturn]] void die(std::string_view what);

std::uint64_t now_ns();  // CLOCK_MONOTONIC: the same for every process of the machine

inline constexpr std::uint64_t kSecond = 1'000'000'000;

// On 127.0.0.1. Connections are made blocking (on loopback that is one handshake) and then are not.
Fd listen_loopback(std::uint16_t port = 0);
std::uint16_t port_of(const Fd& socket);
Fd connect_loopback(std::uint16_t port);  // invalid when nobody listens
Fd accept_client(const Fd& listener);     // invalid when nobody waits
std::uint16_t free_port();

// Waits for events, at most until `deadline`. In nanoseconds, because a millisecond
// is forty requests.
inline constexpr std::uint64_t kNever = UINT64_MAX;
std::span<epoll_event> wait_events(const Fd& epoll, std::span<epoll_event> room,
                                   std::uint64_t deadline);
void watch(const Fd& epoll, int operation, int fd, std::uint32_t events, std::uint32_t index);

using Cores = std::vector<int>;
Cores allowed_cores();
void pin(const Cores& cores);       // this process
std::uint64_t raise_descriptors();  // to the hard limit, which it returns
void die_with_parent();             // and wake when told: no timer slack

}  // namespace drover::bench
