#pragma once
// The programs that are compared, and how each is started in front of the backend. Their
// configurations are the files of bench/peers.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "child.h"

namespace drover::bench {

enum class PeerKind : std::uint8_t { kDirect, kHaproxyBare, kHaproxyEqual, kNginx, kDrover };

struct Peer {
  std::string name;
  PeerKind kind = PeerKind::kDirect;
  std::string program;  // empty: nobody stands between
  unsigned loops = 1;   // of drover
};

// The five that are always there: direct, haproxy, haproxy-equal, nginx and drover.
std::vector<Peer> standard_peers(const std::string& drover);
std::string version_of(const Peer& peer);

struct Placing {
  std::uint16_t backend_port = 0;
  Cores cores;
  std::string configurations;  // the folder of the files
  std::string directory;       // for what is made of them, and for logs
  std::size_t body_bytes = 0;  // the longest that will be sent
};

// Answers on this port, or says why it does not. Of kDirect the port is the backend's.
struct Started {
  std::uint16_t port = 0;
  Child process;
};
Result<Started> start(const Peer& peer, const Placing& placing);

}  // namespace drover::bench
