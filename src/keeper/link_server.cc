#include "keeper/link_server.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "net/epoll_stream.h"

namespace drover::keeper {
namespace {

constexpr mode_t kMode = 0660;  // the gateway shares the group

Error cannot_listen(const std::string& path, std::string_view why) {
  return {
      ErrorKind::kSystem, Origin::kSelf, Retry::kNever,
      fmt::format("cannot listen on {}: {}; DROVER_KEEPER_SOCKET names another path", path, why)};
}

const sockaddr* as_sockaddr(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

int unix_socket() { return ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); }

bool is_served(const sockaddr_un& address) {
  const int fd = unix_socket();
  const bool served = ::connect(fd, as_sockaddr(address), sizeof(address)) == 0 || errno == EAGAIN;
  if (fd >= 0) ::close(fd);
  return served;
}

// Nobody can connect before listen(), so the mode is right from the first connection on.
bool open_to_gateways(int fd, const sockaddr_un& address) {
  return ::bind(fd, as_sockaddr(address), sizeof(address)) == 0 &&
         ::chmod(address.sun_path, kMode) == 0 &&
         ::listen(fd, static_cast<int>(LinkServer::kMostLinks)) == 0;
}

}  // namespace

Result<std::unique_ptr<LinkServer>> LinkServer::listen(net::EpollLoop& loop,
                                                       const std::string& path, Log& log,
                                                       Heard heard) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return cannot_listen(path, "a socket's path has 1 to 107 bytes");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  struct stat found{};
  if (::lstat(path.c_str(), &found) == 0) {
    if (!S_ISSOCK(found.st_mode)) return cannot_listen(path, "a file that is no socket is there");
    if (is_served(address)) return cannot_listen(path, "another keeper serves there");
    ::unlink(path.c_str());
  }
  const int fd = unix_socket();
  if (fd < 0 || !open_to_gateways(fd, address)) {
    Error error = cannot_listen(path, net::error_words(errno));
    if (fd >= 0) ::close(fd);
    return error;
  }
  std::unique_ptr<LinkServer> server(
      new LinkServer(loop, path, fd, log, std::move(heard)));  // tidy: allow(new) private ctor
  if (!loop.watch(fd, EPOLLIN | EPOLLET, *server)) {
    return cannot_listen(path, net::error_words(errno));
  }
  return server;
}

LinkServer::LinkServer(net::EpollLoop& loop, std::string path, int fd, Log& log, Heard heard)
    : loop_(loop), path_(std::move(path)), fd_(fd), log_(log), heard_(std::move(heard)) {}

LinkServer::~LinkServer() {
  loop_.forget(fd_);
  ::close(fd_);
  ::unlink(path_.c_str());
}

void LinkServer::send(const Message& message) {
  for (const auto& [number, link] : links_) link->send(message);
}

void LinkServer::on_events(std::uint32_t) {
  for (;;) {
    const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      take(fd);
    } else if (errno != EINTR && errno != ECONNABORTED) {
      return;
    }
  }
}

void LinkServer::take(int fd) {
  if (links_.size() >= kMostLinks) {
    log_.warn("gateway refused", {{"gateways", std::uint64_t{links_.size()}}});
    ::close(fd);
    return;
  }
  std::unique_ptr<net::Stream> stream = link_stream(loop_, fd);
  if (!stream) return;
  const std::uint64_t number = next_++;
  auto link = std::make_unique<Link>(
      loop_, std::move(stream), MessageReader(),
      Link::Heard{[this](Message message) { heard_.message(std::move(message)); },
                  [this, number](const std::string& why) {
                    log_.info("gateway gone", {{"reason", std::string_view(why)}});
                    links_.erase(number);
                  }});
  link->start();
  heard_.came(*link);
  links_.emplace(number, std::move(link));
  log_.info("gateway connected", {{"gateways", std::uint64_t{links_.size()}}});
}

}  // namespace drover::keeper
