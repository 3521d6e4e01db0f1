#include "net/epoll_stream.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

#include "base/check.h"

namespace drover::net {
namespace {

constexpr std::uint32_t kStreamEvents = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

// A burst of connections must not keep the requests of the connections already taken waiting. Each
// brings three events or more: its request, a connection to an instance, the answer. So a quarter
// of those of a turn (EpollLoop::kEventsPerPoll): where more come in than are served, thousands are
// begun side by side, each waits for all, and what they hold meanwhile leaves holes in the heap.
constexpr int kAcceptsPerTurn = 8;

// After a cancel: what a full backlog can hold. More is a flood, which would never let a drain end.
constexpr int kLastAccepts = 4096;

// Long enough for other connections to end, short enough that a client hardly notices.
constexpr auto kDescriptorPause = std::chrono::milliseconds(100);

Error accept_cancelled() {
  return {ErrorKind::kCancelled, Origin::kSelf, Retry::kNever, "accept cancelled"};
}

// Whether accept4 failed because of one connection and not of the listener; Linux also passes
// errors of the network on the new socket through.
bool concerns_one_connection(int error) {
  switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPERM:
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case EOPNOTSUPP:
    case ETIMEDOUT:
      return true;
    default:
      return false;
  }
}

}  // namespace

bool is_shortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM ||
         error == ENOSPC;
}

std::string error_words(int error) {
  std::string words = std::error_code(error, std::generic_category()).message();
  if (!words.empty() && words[0] >= 'A' && words[0] <= 'Z') {
    words[0] = static_cast<char>(words[0] - 'A' + 'a');
  }
  return words;
}

EpollStream::EpollStream(EpollLoop& loop, int fd, const Endpoint& peer, Handshake handshake)
    : Stream(loop), fd_(fd), peer_(peer) {
  if (handshake == Handshake::kPending) clear_writable();
}

EpollStream::~EpollStream() {
  if (ahead_ != ReadAhead::kNone) epoll_loop().ahead().drop(ahead_);
  epoll_loop().forget(fd_);
  ::close(fd_);
}

bool EpollStream::open() { return epoll_loop().watch(fd_, kStreamEvents, *this); }

int EpollStream::take_error() {
  int error = 0;
  socklen_t size = sizeof(error);
  if (getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error;
}

bool EpollStream::is_self_connected() const {
  sockaddr_storage local{};
  socklen_t size = sizeof(local);
  if (getsockname(fd_, reinterpret_cast<sockaddr*>(&local), &size) != 0) return false;
  return Endpoint::from_sockaddr(reinterpret_cast<const sockaddr*>(&local)) == peer_;
}

Io EpollStream::read_socket(std::span<char> into) const {
  ssize_t got = 0;
  do {
    got = ::recv(fd_, into.data(), into.size(), 0);
  } while (got < 0 && errno == EINTR);
  if (got > 0) return {Io::State::kMoved, static_cast<std::size_t>(got)};
  if (got == 0) return {Io::State::kEnd, 0};
  const bool blocks = errno == EAGAIN || errno == EWOULDBLOCK;
  return {blocks ? Io::State::kWouldBlock : Io::State::kFailed, 0};
}

// For whoever waits: he runs next, and asks for it.
void EpollStream::read_ahead() {
  ReadAhead& ahead = epoll_loop().ahead();
  if (ahead_ != ReadAhead::kNone) return ahead.note_more(ahead_);
  const std::span<char> room = is_awaited() ? ahead.room() : std::span<char>();
  if (room.empty()) return;
  const Io io = read_socket(room);
  if (io.state != Io::State::kWouldBlock) ahead_ = ahead.keep(io);
}

Arrived EpollStream::receive() {
  if (ahead_ == ReadAhead::kNone) return Stream::receive();
  ReadAhead& ahead = epoll_loop().ahead();
  if (!ahead.has_more(ahead_) && !hung_up()) clear_readable();
  return ahead.take(std::exchange(ahead_, ReadAhead::kNone));
}

Io EpollStream::read(std::span<char> into) {
  DROVER_ASSERT(!into.empty());
  if (ahead_ != ReadAhead::kNone) {
    ReadAhead& ahead = epoll_loop().ahead();
    const bool drained = !ahead.has_more(ahead_) && !hung_up();
    Io io;
    if (!ahead.take_some(ahead_, into, io)) return io;
    ahead_ = ReadAhead::kNone;
    if (drained) clear_readable();
    return io;
  }
  const Io io = read_socket(into);
  // A short read has drained the socket: more will raise a new edge. After a hang-up there is no
  // new edge, so the end has to be read.
  const bool drained = io.state == Io::State::kWouldBlock ||
                       (io.state == Io::State::kMoved && io.bytes < into.size() && !hung_up());
  if (drained) clear_readable();
  return io;
}

// A single piece goes without the kernel's handling of a vector: most records of a stream do.
ssize_t EpollStream::send_pieces(std::span<iovec> pieces) const {
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  ssize_t sent = 0;
  do {
    sent = pieces.size() == 1 ? ::send(fd_, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL)
                              : ::sendmsg(fd_, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent;
}

Io EpollStream::write(std::span<const std::string_view> parts) {
  DROVER_ASSERT(parts.size() <= kMaxParts);
  std::array<iovec, kMaxParts> pieces;
  std::size_t count = 0;
  std::size_t total = 0;
  for (const std::string_view part : parts) {
    if (part.empty()) continue;
    pieces[count++] = {const_cast<char*>(part.data()), part.size()};
    total += part.size();
  }
  if (count == 0) return {Io::State::kMoved, 0};
  const ssize_t sent = send_pieces(std::span(pieces.data(), count));
  if (sent >= 0) {
    const auto bytes = static_cast<std::size_t>(sent);
    if (bytes < total) clear_writable();
    return {Io::State::kMoved, bytes};
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK) {
    clear_writable();
    return {Io::State::kWouldBlock, 0};
  }
  return {Io::State::kFailed, 0};
}

void EpollStream::finish_writing() { ::shutdown(fd_, SHUT_WR); }

void EpollStream::reset_on_close() {
  const linger abort{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
}

bool EpollStream::look_for_input() {
  if (has_input()) return true;
  char first = 0;
  const ssize_t there = ::recv(fd_, &first, 1, MSG_PEEK | MSG_DONTWAIT);
  return there >= 0 || errno != EAGAIN;
}

void EpollStream::on_events(std::uint32_t events) {
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
    mark_hung_up();
  } else if ((events & EPOLLIN) != 0) {
    read_ahead();
    mark_readable();
  }
  // A dead connection is writable too: the write then tells that it is dead.
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) mark_writable();
}

EpollListener::EpollListener(EpollLoop& loop, int fd, const Endpoint& local)
    : loop_(loop), fd_(fd), local_(local), incoming_(loop) {}

EpollListener::~EpollListener() {
  loop_.forget(fd_);
  ::close(fd_);
}

bool EpollListener::open() { return loop_.watch(fd_, EPOLLIN | EPOLLET, *this); }

void EpollListener::on_events(std::uint32_t) { incoming_.set(); }

bool EpollListener::has_had_its_share() {
  if (turn_ != loop_.now()) {
    turn_ = loop_.now();
    accepted_ = 0;
  }
  return accepted_ >= kAcceptsPerTurn;
}

Task<Result<std::unique_ptr<Stream>>> EpollListener::accept(Cancel* cancel) {
  for (;;) {
    const bool last = cancel != nullptr && cancel->triggered();
    if (last && accepted_late_++ >= kLastAccepts) co_return accept_cancelled();
    if (has_had_its_share()) {
      accepted_ = 0;
      co_await loop_.sleep_until(loop_.now(), last ? nullptr : cancel);
      continue;
    }
    sockaddr_storage address{};
    socklen_t size = sizeof(address);
    const int fd =
        ::accept4(fd_, reinterpret_cast<sockaddr*>(&address), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    const int error = errno;
    if (fd >= 0) {
      ++accepted_;
      const Endpoint peer = Endpoint::from_sockaddr(reinterpret_cast<sockaddr*>(&address));
      auto stream = std::make_unique<EpollStream>(loop_, fd, peer, EpollStream::Handshake::kDone);
      if (!stream->open()) continue;  // the kernel is short of memory for it; the client retries
      co_return std::unique_ptr<Stream>(std::move(stream));
    }
    const bool nobody = error == EAGAIN || error == EWOULDBLOCK;
    if (last && (nobody || is_shortage(error))) co_return accept_cancelled();
    if (nobody) {
      incoming_.clear();
      co_await incoming_.wait(kNever, cancel);
    } else if (is_shortage(error)) {
      co_await loop_.sleep_for(kDescriptorPause, cancel);
    } else if (!concerns_one_connection(error)) {
      co_return Error{ErrorKind::kSystem, Origin::kSelf, Retry::kNever,
                      fmt::format("accept on {}: {}", local_.to_string(), error_words(error))};
    }
  }
}

}  // namespace drover::net
