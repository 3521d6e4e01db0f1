#include "net/socket_activation.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <optional>

namespace drover::net {
namespace {

// Far above what anybody configures: a number beyond it is a damaged variable.
constexpr int kMostSockets = 1024;

Error wrong(std::string message) {
  return {ErrorKind::kConfig, Origin::kSelf, Retry::kNever, std::move(message)};
}

std::string take(const char* name) {
  const char* value = std::getenv(name);
  std::string text = value == nullptr ? "" : value;
  ::unsetenv(name);
  return text;
}

std::optional<int> number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "client:admin"; a list that is shorter than the descriptors leaves the rest "unknown".
std::vector<std::string> names_for(std::string_view text, int count) {
  std::vector<std::string> names;
  while (!text.empty()) {
    const std::size_t colon = std::min(text.find(':'), text.size());
    names.emplace_back(text.substr(0, colon));
    text.remove_prefix(std::min(colon + 1, text.size()));
  }
  names.resize(static_cast<std::size_t>(count), "unknown");
  for (std::string& name : names) {
    if (name.empty()) name = "unknown";
  }
  return names;
}

std::optional<int> option_of(int fd, int option) {
  int value = 0;
  socklen_t length = sizeof(value);
  if (::getsockopt(fd, SOL_SOCKET, option, &value, &length) != 0) return std::nullopt;
  return value;
}

Result<void> prepare(const PassedSocket& socket) {
  const std::string which =
      "descriptor " + std::to_string(socket.fd) + " (" + socket.name + ") of the socket unit ";
  const std::optional<int> type = option_of(socket.fd, SO_TYPE);
  if (!type) return wrong(which + "is no socket; use ListenStream=");
  if (*type != SOCK_STREAM) return wrong(which + "is not a stream; use ListenStream=");
  if (option_of(socket.fd, SO_ACCEPTCONN).value_or(0) == 0) {
    return wrong(which + "does not listen; use Accept=no");
  }
  const int flags = ::fcntl(socket.fd, F_GETFL);
  if (flags < 0 || ::fcntl(socket.fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
      ::fcntl(socket.fd, F_SETFD, FD_CLOEXEC) != 0) {
    return wrong(which + "cannot be set up");
  }
  return {};
}

}  // namespace

Result<std::vector<PassedSocket>> read_passed_sockets(const ActivationValues& values) {
  if (values.pid.empty() || values.count.empty()) return std::vector<PassedSocket>{};
  const std::optional<int> pid = number(values.pid);
  if (!pid) return wrong("LISTEN_PID is not a number: '" + values.pid + "'");
  // Meant for another process, usually a parent.
  if (*pid != ::getpid()) return std::vector<PassedSocket>{};
  const std::optional<int> count = number(values.count);
  if (!count || *count < 0 || *count > kMostSockets) {
    return wrong("LISTEN_FDS is not a number of sockets: '" + values.count + "'");
  }
  std::vector<PassedSocket> sockets;
  for (std::string& name : names_for(values.names, *count)) {
    PassedSocket socket{std::move(name), values.first_fd + static_cast<int>(sockets.size())};
    if (Result<void> prepared = prepare(socket); !prepared) return prepared.error();
    sockets.push_back(std::move(socket));
  }
  return sockets;
}

Result<std::vector<PassedSocket>> take_passed_sockets() {
  return read_passed_sockets(
      {.pid = take("LISTEN_PID"), .count = take("LISTEN_FDS"), .names = take("LISTEN_FDNAMES")});
}

}  // namespace drover::net
