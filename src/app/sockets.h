#pragma once
// The listening sockets of a drover: bound by the keeper, served by the gateway, which may be the
// same process.

#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "net/endpoint.h"

namespace drover::app {

// Owns the descriptors until they are taken.
class Sockets {
 public:
  // Every address of the configuration; clients' ones once per loop with SO_REUSEPORT, so that the
  // kernel spreads connections. On failure (kSystem, one sentence with the remedy) nothing stays
  // bound.
  static Result<Sockets> bind(const config::Config& config, std::size_t loops);
  // Those that take() of another process gave, in its order. Errors (kSystem): they are not that.
  static Result<Sockets> adopt(std::vector<int> descriptors, std::size_t loops);

  Sockets(Sockets&& other) noexcept;
  Sockets& operator=(Sockets&&) = delete;
  ~Sockets();

  const std::vector<net::Endpoint>& clients() const { return clients_; }
  const net::Endpoint& admin() const { return admin_; }
  // Admin first, then for each address one per loop. They are the caller's from here on.
  std::vector<int> take();

 private:
  Sockets() = default;

  std::vector<int> descriptors_;
  std::vector<net::Endpoint> clients_;
  net::Endpoint admin_;
};

// IO loops that the configuration wants on this machine.
std::size_t loop_count(const config::Config& config);

}  // namespace drover::app
