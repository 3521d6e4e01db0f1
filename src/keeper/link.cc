#include "keeper/link.h"

#include <sys/socket.h>

#include <cerrno>

#include "net/epoll_stream.h"

namespace drover::keeper {
namespace {

// The other end is a process of ours on this machine. One that takes nothing for so long is stopped
// or broken, and is treated like one that is gone.
constexpr Duration kStall = std::chrono::seconds(30);

bool is_reading(const Message& message) {
  return std::holds_alternative<Gpus>(message) || std::holds_alternative<Process>(message);
}

}  // namespace

Link::Link(net::EpollLoop& loop, std::unique_ptr<net::Stream> stream, MessageReader reader,
           Heard heard)
    : loop_(loop),
      stream_(std::move(stream)),
      reader_(std::move(reader)),
      heard_(std::move(heard)),
      has_waiting_(loop),
      reading_(loop),
      writing_(loop) {}

void Link::start() {
  reading_.start(read());
  writing_.start(write());
}

void Link::send(const Message& message) {
  if (ended_ || (waiting_.size() > kMostWaiting && is_reading(message))) return;
  waiting_ += encode(message);
  has_waiting_.set();
}

net::Task<void> Link::read() {
  for (;;) {
    Result<std::optional<Message>> message = reader_.next();
    if (!message) co_return end(message.error().message);
    if (*message) {
      heard_.message(std::move(**message));
      continue;
    }
    co_await stream_->readable(kNever);
    const net::Arrived got = stream_->receive();
    if (got.state == net::Io::State::kWouldBlock) continue;
    if (got.state != net::Io::State::kMoved) co_return end(kPeerGone);
    reader_.feed(got.bytes);
  }
}

net::Task<void> Link::write() {
  for (;;) {
    co_await has_waiting_.wait(kNever);
    has_waiting_.clear();
    const std::string bytes = std::exchange(waiting_, {});
    const std::string_view parts[] = {bytes};
    Result<void> sent = co_await net::write_all(*stream_, parts, kStall, nullptr);
    if (!sent) co_return end("the other process takes no messages");
  }
}

// Told from the loop and not from inside one of the two tasks, so that whoever hears it may destroy
// this object.
void Link::end(std::string why) {
  if (std::exchange(ended_, true)) return;
  loop_.post([heard = heard_.end, why = std::move(why)] { heard(why); });
}

Result<std::pair<int, int>> link_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0) {
    return std::pair(fds[0], fds[1]);
  }
  return Error{ErrorKind::kSystem, Origin::kSelf, Retry::kNever,
               "cannot make a pair of sockets: " + net::error_words(errno)};
}

std::unique_ptr<net::Stream> link_stream(net::EpollLoop& loop, int fd) {
  auto stream = std::make_unique<net::EpollStream>(loop, fd, net::Endpoint(),
                                                   net::EpollStream::Handshake::kDone);
  if (!stream->open()) return nullptr;
  return stream;
}

}  // namespace drover::keeper
