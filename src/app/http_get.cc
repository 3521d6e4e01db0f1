#include "app/http_get.h"

#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "wire/http_body.h"
#include "wire/http_head.h"

namespace drover::app {
namespace {

Error failed(ErrorKind kind, std::string reason) {
  return Error{kind, Origin::kInstance, Retry::kNever, std::move(reason)};
}

Error system_error(int code) {
  const ErrorKind kind = code == ECONNREFUSED ? ErrorKind::kRefused
                         : code == ECONNRESET ? ErrorKind::kClosed
                                              : ErrorKind::kSystem;
  std::string reason = std::strerror(code);
  if (code == ECONNREFUSED) reason = "connection refused";
  return failed(kind, std::move(reason));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

// One deadline for everything, held by the kernel: a peer that sends a byte now and then cannot
// stretch it, and no clock is read here.
class Patience {
 public:
  explicit Patience(Duration patience)
      : timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) {
    itimerspec when{};
    when.it_value.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(patience).count();
    when.it_value.tv_nsec = (patience % std::chrono::seconds(1)).count();
    ::timerfd_settime(timer_.get(), 0, &when, nullptr);
  }

  // Nothing once `socket` is ready.
  std::optional<Error> wait_for(int socket, short events) const {
    pollfd both[2] = {{socket, events, 0}, {timer_.get(), POLLIN, 0}};
    while (::poll(both, 2, -1) < 0) {
      if (errno != EINTR) return system_error(errno);
    }
    if (both[0].revents != 0) return std::nullopt;
    return failed(ErrorKind::kTimeout, "no answer in time");
  }

 private:
  Descriptor timer_;
};

Result<Descriptor> connect_one(const addrinfo& address, const Patience& patience) {
  Descriptor socket(
      ::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  if (socket.get() < 0) return system_error(errno);
  if (::connect(socket.get(), address.ai_addr, address.ai_addrlen) == 0) return socket;
  if (errno != EINPROGRESS) return system_error(errno);
  if (auto error = patience.wait_for(socket.get(), POLLOUT)) return *std::move(error);
  int code = 0;
  socklen_t length = sizeof code;
  ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &code, &length);
  if (code != 0) return system_error(code);
  return socket;
}

Result<Descriptor> connect_any(const config::HostPort& address, const Patience& patience) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code =
      ::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (code != 0) return failed(ErrorKind::kResolve, ::gai_strerror(code));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(found, &::freeaddrinfo);
  Error last = failed(ErrorKind::kResolve, "the name has no address");
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    Result<Descriptor> socket = connect_one(*one, patience);
    if (socket) return socket;
    last = std::move(socket).error();
    if (last.kind == ErrorKind::kTimeout) break;
  }
  return last;
}

std::optional<Error> send_all(int socket, std::string_view bytes, const Patience& patience) {
  while (!bytes.empty()) {
    if (auto error = patience.wait_for(socket, POLLOUT)) return error;
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno != EAGAIN && errno != EINTR) {
      return system_error(errno);
    }
  }
  return std::nullopt;
}

// Everything until the peer closes; the request asks it to.
Result<std::string> receive_all(int socket, const Patience& patience) {
  std::string bytes;
  char piece[16 * 1024];
  while (true) {
    if (auto error = patience.wait_for(socket, POLLIN)) return *std::move(error);
    const ssize_t got = ::recv(socket, piece, sizeof piece, 0);
    if (got == 0) return bytes;
    if (got > 0) {
      bytes.append(piece, static_cast<std::size_t>(got));
    } else if (errno != EAGAIN && errno != EINTR) {
      return system_error(errno);
    }
    if (bytes.size() > kLargestAnswer) {
      return failed(ErrorKind::kTooLarge, "the answer is too large for a status");
    }
  }
}

Result<Answer> decode(std::string_view bytes) {
  wire::ResponseParser parser;
  wire::ResponseHead head;
  const auto length = parser.parse(bytes, wire::Method::kGet, head);
  if (!length) return failed(ErrorKind::kUpstream, "the answer is not HTTP");
  if (!*length) return failed(ErrorKind::kClosed, "the connection was closed within the answer");
  bytes.remove_prefix(head.bytes);

  Answer answer{head.status, ""};
  wire::BodyDecoder body(head.framing, head.content_length, Origin::kInstance);
  while (!bytes.empty() && !body.done()) {
    const auto step = body.next(bytes);
    if (!step) return step.error();
    answer.body += step->data;
    bytes.remove_prefix(step->consumed);
    if (step->consumed == 0) break;
  }
  if (const auto end = body.end(); !end) {
    return failed(ErrorKind::kClosed, "the connection was closed within the answer");
  }
  return answer;
}

Result<Answer> ask(const config::HostPort& address, std::string_view line, std::string_view fields,
                   Duration patience_time) {
  const Patience patience(patience_time);
  const Result<Descriptor> socket = connect_any(address, patience);
  if (!socket) return socket.error();
  const std::string request = fmt::format(
      "{} HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\n{}Connection: close\r\n\r\n", line,
      address.to_string(), fields);
  if (auto error = send_all(socket->get(), request, patience)) return *std::move(error);
  const Result<std::string> bytes = receive_all(socket->get(), patience);
  if (!bytes) return bytes.error();
  return decode(*bytes);
}

}  // namespace

Result<Answer> http_get(const config::HostPort& address, std::string_view path, Duration patience) {
  return ask(address, fmt::format("GET {}", path), "", patience);
}

Result<Answer> http_post(const config::HostPort& address, std::string_view path,
                         Duration patience) {
  return ask(address, fmt::format("POST {}", path), "Content-Length: 0\r\n", patience);
}

}  // namespace drover::app
