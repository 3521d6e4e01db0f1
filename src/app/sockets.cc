#include "app/sockets.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "net/epoll_loop.h"

namespace drover::app {
namespace {

// Four loops relay some 300,000 tokens a second; more would only be idle threads.
constexpr unsigned kAutoLoopsMax = 4;
// Descriptors that a gateway is handed at its start.
constexpr std::size_t kMostSockets = 500;

Error system_error(std::string message) {
  return {ErrorKind::kSystem, Origin::kSelf, Retry::kNever, std::move(message)};
}

Result<net::Endpoint> to_endpoint(const config::HostPort& address) {
  const std::string host = address.host == "localhost" ? "127.0.0.1" : address.host;
  std::optional<net::Endpoint> endpoint = net::Endpoint::from_literal(host, address.port);
  if (endpoint) return *endpoint;
  return Error{ErrorKind::kConfig, Origin::kSelf, Retry::kNever,
               fmt::format("cannot listen on '{}': give an address of this machine, such as "
                           "127.0.0.1 or 0.0.0.0",
                           address.to_string())};
}

Result<int> listen_at(const net::Endpoint& at, net::ListenOptions options) {
  Result<int> fd = net::listening_socket(at, options);
  if (fd) return fd;
  return system_error(fmt::format(
      "cannot {} (wanted {}); end what holds the address, or choose another with --listen or "
      "--admin",
      fd.error().message, at.to_string()));
}

}  // namespace

std::size_t loop_count(const config::Config& config) {
  if (config.loops) return *config.loops;
  return std::clamp(std::thread::hardware_concurrency(), 1U, kAutoLoopsMax);
}

Sockets::Sockets(Sockets&& other) noexcept
    : descriptors_(std::exchange(other.descriptors_, {})),
      clients_(std::move(other.clients_)),
      admin_(other.admin_) {}

Sockets::~Sockets() {
  for (const int fd : descriptors_) ::close(fd);
}

std::vector<int> Sockets::take() { return std::exchange(descriptors_, {}); }

// Every address is bound once without sharing, so that two drovers never split a port by accident;
// then once for each loop.
Result<Sockets> Sockets::bind(const config::Config& config, std::size_t loops) {
  if (config.listen.size() * loops > kMostSockets) {
    return system_error(
        fmt::format("{} addresses with {} loops need more than {} sockets; listen "
                    "on fewer addresses or set fewer loops",
                    config.listen.size(), loops, kMostSockets));
  }
  Sockets sockets;
  Result<net::Endpoint> admin = to_endpoint(config.admin);
  if (!admin) return std::move(admin).error();
  Result<int> admin_fd = listen_at(*admin, {});
  if (!admin_fd) return std::move(admin_fd).error();
  sockets.descriptors_.push_back(*admin_fd);
  sockets.admin_ = net::local_endpoint(*admin_fd);
  for (const config::HostPort& address : config.listen) {
    Result<net::Endpoint> at = to_endpoint(address);
    if (!at) return std::move(at).error();
    Result<int> alone = listen_at(*at, {});
    if (!alone) return std::move(alone).error();
    const net::Endpoint local = net::local_endpoint(*alone);
    sockets.clients_.push_back(local);
    if (loops == 1) {
      sockets.descriptors_.push_back(*alone);
      continue;
    }
    ::close(*alone);
    for (std::size_t i = 0; i < loops; ++i) {
      Result<int> shared = listen_at(local, {.reuse_port = true});
      if (!shared) return std::move(shared).error();
      sockets.descriptors_.push_back(*shared);
    }
  }
  return sockets;
}

Result<Sockets> Sockets::adopt(std::vector<int> descriptors, std::size_t loops) {
  Sockets sockets;
  sockets.descriptors_ = std::move(descriptors);
  const std::size_t count = sockets.descriptors_.size();
  if (count < 1 + loops || (count - 1) % loops != 0) {
    return system_error(fmt::format(
        "{} listening sockets were handed over, which does not fit {} loops", count, loops));
  }
  sockets.admin_ = net::local_endpoint(sockets.descriptors_.front());
  for (std::size_t i = 1; i < count; i += loops) {
    sockets.clients_.push_back(net::local_endpoint(sockets.descriptors_[i]));
  }
  return sockets;
}

}  // namespace drover::app
