#pragma once
// Connection: the two pipes between two virtual streams. Private to simnet.

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "net/stream.h"
#include "simnet/network.h"

namespace drover::simnet {

class VirtualStream;

// Shared by its two streams and by deliveries under way, because either end may close first.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(VirtualLoop& loop, Network& network, Network::Server& server);

  // Who reads what goes towards that side; null once closed.
  void attach(Towards side, VirtualStream* stream);
  void detach(Towards side) { pipe(side).reader = nullptr; }
  bool is_open() const;

  void add_fault(Fault fault);
  void release();
  // Delivers whatever is due and not held up.
  void deliver_all();
  void reset_both();

  // For VirtualStream.
  // How many of `offered` bytes a write towards that side may send; when not all, the writer is
  // told later that it can go on.
  std::size_t take(Towards towards, std::size_t offered);
  void send(Towards towards, std::string_view bytes);
  void send_end(Towards towards);
  void send_reset(Towards towards);
  // Takes what has arrived at `side`.
  std::size_t receive(Towards side, std::span<char> into);
  bool has_arrived(Towards side) const { return !pipe(side).arrived.empty(); }
  bool has_ended(Towards side) const { return pipe(side).ended; }

 private:
  struct Piece {
    enum class Kind : std::uint8_t { kBytes, kEnd, kReset };
    Instant due;
    Kind kind = Kind::kBytes;
    std::string bytes;
  };
  struct Pipe {
    VirtualStream* reader = nullptr;
    std::deque<Piece> under_way;
    std::string arrived;
    std::size_t bytes_under_way = 0;
    std::size_t delivered = 0;
    Instant last_due{};
    std::optional<Fault> fault;
    bool stalled = false;
    bool cut = false;    // what is sent from here on vanishes
    bool ended = false;  // the reader has been told
  };

  Pipe& pipe(Towards towards) { return pipes_[static_cast<std::size_t>(towards)]; }
  const Pipe& pipe(Towards towards) const { return pipes_[static_cast<std::size_t>(towards)]; }
  std::size_t room(Towards towards) const;
  void tell_writer(Towards towards);
  void push(Towards towards, Piece piece);
  void deliver(Towards towards);
  void deliver_bytes(Towards towards, Piece piece);
  void apply_fault(Towards towards);
  std::size_t piece_size();

  VirtualLoop& loop_;
  Network& network_;
  Network::Server& server_;
  std::array<Pipe, 2> pipes_;
};

// One end of a Connection.
class VirtualStream final : public net::Stream {
 public:
  VirtualStream(VirtualLoop& loop, std::shared_ptr<Connection> connection, Towards side,
                const net::Endpoint& peer);
  ~VirtualStream() override;

  net::Io read(std::span<char> into) override;
  net::Io write(std::span<const std::string_view> parts) override;
  void finish_writing() override;
  void reset_on_close() override { reset_on_close_ = true; }
  net::Endpoint peer() const override { return peer_; }

  // For Connection.
  using net::Stream::mark_hung_up;
  using net::Stream::mark_readable;
  using net::Stream::mark_writable;
  void be_reset();

 private:
  Towards other() const { return side_ == Towards::kClient ? Towards::kServer : Towards::kClient; }

  std::shared_ptr<Connection> connection_;
  Towards side_;
  net::Endpoint peer_;
  bool finished_ = false;
  bool reset_ = false;
  bool reset_on_close_ = false;
};

}  // namespace drover::simnet
