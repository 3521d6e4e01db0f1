#include "net/sd_notify.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace drover::net {
namespace {

Error failure(std::string message) {
  return {ErrorKind::kSystem, Origin::kSelf, Retry::kNever, std::move(message)};
}

// The variable's value, and the variable is gone.
std::string take(const char* name) {
  const char* value = std::getenv(name);
  std::string text = value == nullptr ? "" : value;
  ::unsetenv(name);
  return text;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string one_line(std::string_view text) {
  std::string line(text);
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

}  // namespace

Notifier Notifier::from_environment() {
  const std::string socket = take("NOTIFY_SOCKET");
  const std::string pid = take("WATCHDOG_PID");
  const std::optional<std::uint64_t> microseconds = number(take("WATCHDOG_USEC"));
  std::optional<Duration> watchdog;
  // A pid that is not ours: the variable was meant for the parent that started us.
  const bool ours = pid.empty() || number(pid) == static_cast<std::uint64_t>(::getpid());
  if (ours && microseconds.value_or(0) > 0) watchdog = std::chrono::microseconds(*microseconds);
  Result<Notifier> notifier = to(socket, watchdog);
  return notifier ? *std::move(notifier) : Notifier();
}

Result<Notifier> Notifier::to(std::string_view socket, std::optional<Duration> watchdog) {
  Notifier notifier;
  notifier.watchdog_ = watchdog;
  if (socket.empty()) return notifier;
  if (socket.front() != '/' && socket.front() != '@') {
    return failure("NOTIFY_SOCKET must be an absolute path or begin with @, not '" +
                   std::string(socket) + "'");
  }
  // One byte stays for the terminating zero of a path.
  if (socket.size() < 2 || socket.size() >= sizeof(sockaddr_un::sun_path)) {
    return failure("NOTIFY_SOCKET is not a usable address: '" + std::string(socket) + "'");
  }
  notifier.address_ = socket;
  if (socket.front() == '@') notifier.address_.front() = '\0';
  return notifier;
}

Result<void> Notifier::ready(std::string_view text) const {
  return send("READY=1\nSTATUS=" + one_line(text));
}

Result<void> Notifier::stopping() const { return send("STOPPING=1"); }

Result<void> Notifier::alive() const { return send("WATCHDOG=1"); }

Result<void> Notifier::status(std::string_view text) const {
  return send("STATUS=" + one_line(text));
}

Result<void> Notifier::send(std::string_view message) const {
  if (address_.empty()) return {};
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, address_.data(), address_.size());
  // An abstract name ends with its length, a path with a zero byte.
  const std::size_t zero = address_.front() == '\0' ? 0 : 1;
  const auto length =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size() + zero);
  // A socket for each message: they are seconds apart, and a descriptor that is kept is one more
  // that has to be kept out of children.
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return failure(std::string("no socket for the manager: ") + std::strerror(errno));
  const ssize_t sent = ::sendto(fd, message.data(), message.size(), MSG_NOSIGNAL,
                                reinterpret_cast<const sockaddr*>(&to), length);
  const int error = errno;
  ::close(fd);
  if (sent == static_cast<ssize_t>(message.size())) return {};
  return failure(std::string("the manager does not take messages: ") + std::strerror(error));
}

}  // namespace drover::net
