#pragma once
// Network: virtual listeners and streams inside one VirtualLoop, and everything that can go wrong
// between them. It behaves as TCP does where a caller can tell: bytes stay in order, buffers are
// bounded, a write to a closed peer is answered by a reset, bytes that arrived before a reset can
// still be read.
//
// A server is named by the endpoint it listens on; connecting to an address also finds the wildcard
// listener of its port.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "base/rng.h"
#include "base/time.h"
#include "net/endpoint.h"
#include "net/loop.h"
#include "net/stream.h"

namespace drover::simnet {

class Connection;
class VirtualListener;
class VirtualLoop;

// How written bytes are cut on their way.
enum class Split : std::uint8_t {
  kWhole,   // as written
  kRandom,  // pieces of 1 byte to 4 KiB, and some writes are taken only in part
  kBytes,   // every byte arrives alone
};

struct NetworkOptions {
  std::uint64_t seed = 1;
  Duration latency = std::chrono::microseconds(50);  // one way; connecting takes two
  Duration jitter{};                                 // up to this is added to each piece
  Split split = Split::kWhole;
  std::size_t buffer_bytes = 64 * 1024;  // per direction: under way and not yet read
};

enum class Towards : std::uint8_t { kClient, kServer };

// What happens to one direction of a connection once `after_bytes` have been delivered.
struct Fault {
  enum class Kind : std::uint8_t {
    kCut,    // the reader sees an end; what is written later vanishes
    kReset,  // both ends see a reset
    kStall,  // nothing more is delivered until release()
  };
  Kind kind = Kind::kCut;
  Towards towards = Towards::kClient;
  std::size_t after_bytes = 0;
};

class Network {
 public:
  Network(VirtualLoop& loop, NetworkOptions options);
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;
  ~Network();

  // As net::Loop has them. Port 0 chooses a free one.
  Result<std::unique_ptr<net::Listener>> listen(const net::Endpoint& at,
                                                net::ListenOptions options);
  net::Task<Result<std::unique_ptr<net::Stream>>> connect(net::Endpoint to, Instant deadline,
                                                          net::Cancel* cancel);

  // Faults. The next connection made to `server` gets it; several queue up, one a connection.
  void fault_next(const net::Endpoint& server, Fault fault);
  // Every present connection gets it; bytes count from this call.
  void fault_present(const net::Endpoint& server, Fault fault);
  // Ends the stalls of all present connections.
  void release(const net::Endpoint& server);
  // As kill -9: all connections are reset and nobody listens; accept() fails.
  void kill(const net::Endpoint& server);
  // As SIGSTOP: connections are made but never accepted, nothing is delivered either way.
  void freeze(const net::Endpoint& server);
  void thaw(const net::Endpoint& server);
  // As a full descriptor table of those who would connect: they never get to ask.
  void starve(const net::Endpoint& server);
  void feed(const net::Endpoint& server);
  // As a pulled cable: connecting gets no answer, nothing is delivered either way.
  void unplug(const net::Endpoint& server);
  void plug(const net::Endpoint& server);

  // Connections of `server` with at least one open end.
  std::size_t connections(const net::Endpoint& server) const;
  // Made since the start, refused ones not counted.
  std::size_t connects(const net::Endpoint& server) const;

 private:
  friend class Connection;
  friend class VirtualListener;

  struct Server {
    VirtualListener* listener = nullptr;
    bool frozen = false;
    bool unplugged = false;
    bool starved = false;
    std::size_t connects = 0;
    std::deque<Fault> next_faults;
    std::vector<std::weak_ptr<Connection>> connections;
    bool is_silent() const { return frozen || unplugged; }
  };

  Server& server(const net::Endpoint& at);
  const Server* find(const net::Endpoint& at) const;
  std::vector<std::shared_ptr<Connection>> present(const net::Endpoint& at);
  void wake_up(const net::Endpoint& at);
  Result<std::unique_ptr<net::Stream>> establish(const net::Endpoint& to);

  VirtualLoop& loop_;
  NetworkOptions options_;
  Rng rng_;
  std::map<net::Endpoint, Server> servers_;
  std::uint16_t next_port_ = 40000;
  std::uint16_t next_client_port_ = 10000;
};

}  // namespace drover::simnet
