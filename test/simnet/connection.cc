#include "simnet/connection.h"

#include <algorithm>
#include <chrono>

#include "base/check.h"
#include "simnet/virtual_loop.h"

namespace drover::simnet {
namespace {

constexpr Towards opposite(Towards side) {
  return side == Towards::kClient ? Towards::kServer : Towards::kClient;
}

// Between the pieces of a split write, so that a reader sees them one at a time.
constexpr auto kPieceGap = std::chrono::microseconds(1);

}  // namespace

Connection::Connection(VirtualLoop& loop, Network& network, Network::Server& server)
    : loop_(loop), network_(network), server_(server) {}

void Connection::attach(Towards side, VirtualStream* stream) { pipe(side).reader = stream; }

bool Connection::is_open() const {
  return pipe(Towards::kClient).reader != nullptr || pipe(Towards::kServer).reader != nullptr;
}

void Connection::add_fault(Fault fault) {
  Pipe& at = pipe(fault.towards);
  fault.after_bytes += at.delivered;
  at.fault = fault;
  if (fault.after_bytes == at.delivered) apply_fault(fault.towards);
}

void Connection::release() {
  for (Pipe& one : pipes_) one.stalled = false;
  deliver_all();
}

void Connection::deliver_all() {
  deliver(Towards::kClient);
  deliver(Towards::kServer);
}

void Connection::reset_both() {
  for (Pipe& one : pipes_) {
    one.under_way.clear();
    one.bytes_under_way = 0;
    if (one.reader != nullptr) one.reader->be_reset();
  }
}

std::size_t Connection::room(Towards towards) const {
  const Pipe& to = pipe(towards);
  const std::size_t used = to.bytes_under_way + to.arrived.size();
  const std::size_t limit = network_.options_.buffer_bytes;
  return used >= limit ? 0 : limit - used;
}

std::size_t Connection::take(Towards towards, std::size_t offered) {
  const std::size_t fits = std::min(offered, room(towards));
  if (network_.options_.split != Split::kRandom || fits < 2 || network_.rng_.below(4) != 0) {
    return fits;
  }
  // Taken in part although there is room: what a caller must be able to live with at any time.
  loop_.schedule(loop_.now(), [self = shared_from_this(), towards] {
    if (self->room(towards) > 0) self->tell_writer(towards);
  });
  return 1 + network_.rng_.below(fits - 1);
}

void Connection::tell_writer(Towards towards) {
  if (VirtualStream* writer = pipe(opposite(towards)).reader) writer->mark_writable();
}

std::size_t Connection::piece_size() {
  switch (network_.options_.split) {
    case Split::kWhole:
      return SIZE_MAX;
    case Split::kBytes:
      return 1;
    case Split::kRandom:
      break;
  }
  // Small ones often, large ones sometimes.
  return 1 + network_.rng_.below(std::uint64_t{1} << network_.rng_.below(13));
}

void Connection::send(Towards towards, std::string_view bytes) {
  if (pipe(towards).cut) return;
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, piece_size());
    bytes.remove_prefix(part.size());
    pipe(towards).bytes_under_way += part.size();
    push(towards, {.due = {}, .kind = Piece::Kind::kBytes, .bytes = std::string(part)});
  }
}

void Connection::send_end(Towards towards) {
  push(towards, {.due = {}, .kind = Piece::Kind::kEnd, .bytes = {}});
}

void Connection::send_reset(Towards towards) {
  push(towards, {.due = {}, .kind = Piece::Kind::kReset, .bytes = {}});
}

void Connection::push(Towards towards, Piece piece) {
  Pipe& to = pipe(towards);
  const NetworkOptions& options = network_.options_;
  const auto spread = static_cast<std::uint64_t>(options.jitter.count()) + 1;
  const Duration jitter(static_cast<std::int64_t>(network_.rng_.below(spread)));
  const Duration gap = options.split == Split::kWhole ? Duration{} : Duration(kPieceGap);
  piece.due = std::max(loop_.now() + options.latency + jitter, to.last_due + gap);
  to.last_due = piece.due;
  loop_.schedule(piece.due, [self = shared_from_this(), towards] { self->deliver(towards); });
  to.under_way.push_back(std::move(piece));
}

void Connection::deliver(Towards towards) {
  Pipe& to = pipe(towards);
  while (!to.under_way.empty() && to.under_way.front().due <= loop_.now()) {
    if (to.stalled || server_.is_silent()) return;
    Piece piece = std::move(to.under_way.front());
    to.under_way.pop_front();
    switch (piece.kind) {
      case Piece::Kind::kBytes:
        deliver_bytes(towards, std::move(piece));
        break;
      case Piece::Kind::kEnd:
        to.ended = true;
        if (to.reader != nullptr) to.reader->mark_hung_up();
        break;
      case Piece::Kind::kReset:
        if (to.reader != nullptr) to.reader->be_reset();
        break;
    }
  }
}

void Connection::deliver_bytes(Towards towards, Piece piece) {
  Pipe& to = pipe(towards);
  to.bytes_under_way -= piece.bytes.size();
  if (to.cut) return;
  if (to.reader == nullptr) {  // closed: the kernel answers for it, once
    to.cut = true;
    send_reset(opposite(towards));
    return;
  }
  std::string_view bytes = piece.bytes;
  const std::size_t until_fault = to.fault ? to.fault->after_bytes - to.delivered : SIZE_MAX;
  const std::string_view now = bytes.substr(0, until_fault);
  bytes.remove_prefix(now.size());
  to.arrived += now;
  to.delivered += now.size();
  if (!bytes.empty()) {  // a stall keeps them for later, the other faults lose them
    to.bytes_under_way += bytes.size();
    to.under_way.push_front({piece.due, Piece::Kind::kBytes, std::string(bytes)});
  }
  if (!now.empty()) to.reader->mark_readable();
  if (to.fault && to.delivered == to.fault->after_bytes) apply_fault(towards);
}

void Connection::apply_fault(Towards towards) {
  Pipe& at = pipe(towards);
  const Fault::Kind kind = at.fault->kind;
  at.fault.reset();
  switch (kind) {
    case Fault::Kind::kStall:
      at.stalled = true;
      break;
    case Fault::Kind::kReset:
      reset_both();
      break;
    case Fault::Kind::kCut:
      at.cut = true;
      at.under_way.clear();
      at.bytes_under_way = 0;
      at.ended = true;
      if (at.reader != nullptr) at.reader->mark_hung_up();
      tell_writer(towards);
      break;
  }
}

std::size_t Connection::receive(Towards side, std::span<char> into) {
  Pipe& from = pipe(side);
  const std::size_t bytes = std::min(into.size(), from.arrived.size());
  std::copy_n(from.arrived.begin(), bytes, into.begin());
  from.arrived.erase(0, bytes);
  // The news of free space is taken to travel in no time.
  if (bytes > 0 && room(side) > 0) tell_writer(side);
  return bytes;
}

VirtualStream::VirtualStream(VirtualLoop& loop, std::shared_ptr<Connection> connection,
                             Towards side, const net::Endpoint& peer)
    : Stream(loop), connection_(std::move(connection)), side_(side), peer_(peer) {
  connection_->attach(side, this);
}

VirtualStream::~VirtualStream() {
  const bool unread = connection_->has_arrived(side_);
  connection_->detach(side_);
  if (reset_) return;
  if (reset_on_close_ || unread) {
    connection_->send_reset(other());
  } else if (!finished_) {
    connection_->send_end(other());
  }
}

net::Io VirtualStream::read(std::span<char> into) {
  DROVER_ASSERT(!into.empty());
  const std::size_t bytes = connection_->receive(side_, into);
  if (bytes > 0) {
    if (bytes < into.size() && !hung_up()) clear_readable();
    return {net::Io::State::kMoved, bytes};
  }
  if (reset_) return {net::Io::State::kFailed, 0};
  if (connection_->has_ended(side_)) return {net::Io::State::kEnd, 0};
  clear_readable();
  return {net::Io::State::kWouldBlock, 0};
}

net::Io VirtualStream::write(std::span<const std::string_view> parts) {
  DROVER_ASSERT(parts.size() <= kMaxParts);
  std::string all;
  for (const std::string_view part : parts) all += part;
  if (all.empty()) return {net::Io::State::kMoved, 0};
  if (reset_ || finished_) return {net::Io::State::kFailed, 0};
  const std::size_t taken = connection_->take(other(), all.size());
  if (taken < all.size()) clear_writable();
  if (taken == 0) return {net::Io::State::kWouldBlock, 0};
  connection_->send(other(), std::string_view(all).substr(0, taken));
  return {net::Io::State::kMoved, taken};
}

void VirtualStream::finish_writing() {
  if (finished_ || reset_) return;
  finished_ = true;
  connection_->send_end(other());
}

void VirtualStream::be_reset() {
  reset_ = true;
  mark_hung_up();
  mark_writable();
}

}  // namespace drover::simnet
