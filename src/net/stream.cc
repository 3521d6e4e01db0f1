#include "net/stream.h"

#include <array>

namespace drover::net {
namespace {

// One write of what is left after the first `sent` bytes of `parts`.
Io write_from(Stream& stream, std::span<const std::string_view> parts, std::size_t sent) {
  if (sent == 0 && parts.size() <= Stream::kMaxParts) return stream.write(parts);
  std::array<std::string_view, Stream::kMaxParts> rest;
  std::size_t count = 0;
  for (std::string_view part : parts) {
    if (sent >= part.size()) {
      sent -= part.size();
      continue;
    }
    part.remove_prefix(sent);
    sent = 0;
    rest[count++] = part;
    if (count == rest.size()) break;
  }
  return stream.write({rest.data(), count});
}

std::size_t total_bytes(std::span<const std::string_view> parts) {
  std::size_t total = 0;
  for (const std::string_view part : parts) total += part.size();
  return total;
}

Error closed() { return {ErrorKind::kClosed, Origin::kSelf, Retry::kNever, "connection closed"}; }

Task<Result<void>> write_failed(Error error) { co_return std::move(error); }

Task<Result<void>> write_rest(Stream& stream, std::span<const std::string_view> parts,
                              std::size_t sent, Duration stall, Cancel* cancel) {
  const std::size_t total = total_bytes(parts);
  while (sent < total) {
    const Instant deadline = stream.loop().now() + stall;
    const WaitResult waited = co_await stream.writable(deadline, cancel);
    if (waited == WaitResult::kTimedOut) {
      co_return Error{ErrorKind::kTimeout, Origin::kSelf, Retry::kNever,
                      "the peer took no bytes in time"};
    }
    if (waited == WaitResult::kCancelled) {
      co_return Error{ErrorKind::kCancelled, Origin::kSelf, Retry::kNever, "write cancelled"};
    }
    const Io io = write_from(stream, parts, sent);
    if (io.state == Io::State::kFailed) co_return closed();
    sent += io.bytes;
  }
  co_return Done{};
}

}  // namespace

Stream::Stream(Loop& loop) : loop_(loop), read_timer_(loop), write_timer_(loop) {}

Arrived Stream::receive() {
  const std::span<char> room = loop_.scratch();
  const Io io = read(room);
  return {io.state, {room.data(), io.bytes}};
}

bool Stream::ReadyAwaiter::await_ready() {
  if (cancel_on_ != nullptr && cancel_on_->triggered()) {
    result_ = WaitResult::kCancelled;
    return true;
  }
  return side_ == Side::kRead ? stream_.readable_ : stream_.writable_;
}

void Stream::ReadyAwaiter::await_suspend(std::coroutine_handle<> coroutine) {
  if (side_ == Side::kRead) {
    suspend(coroutine, stream_.read_timer_, deadline_, cancel_on_);
  } else {
    suspend(coroutine, stream_.write_timer_, deadline_, cancel_on_);
  }
}

void Stream::watch_hangup(Cancel* gone) {
  gone_ = gone;
  if (gone_ != nullptr && hung_up_) gone_->trigger(CancelReason::kClientGone);
}

void Stream::mark_readable() {
  readable_ = true;
  if (read_timer_.waiter() != nullptr) read_timer_.waiter()->fire(WaitResult::kReady);
}

void Stream::mark_writable() {
  writable_ = true;
  if (write_timer_.waiter() != nullptr) write_timer_.waiter()->fire(WaitResult::kReady);
}

void Stream::mark_hung_up() {
  hung_up_ = true;
  mark_readable();
  if (gone_ != nullptr) gone_->trigger(CancelReason::kClientGone);
}

Task<Result<void>> write_all(Stream& stream, std::span<const std::string_view> parts,
                             Duration stall, Cancel* cancel) {
  std::size_t sent = 0;
  if (cancel == nullptr || !cancel->triggered()) {
    const Io io = write_from(stream, parts, 0);
    if (io.state == Io::State::kFailed) return write_failed(closed());
    sent = io.bytes;
    if (sent == total_bytes(parts)) return Task<Result<void>>::completed();
  }
  return write_rest(stream, parts, sent, stall, cancel);
}

}  // namespace drover::net
