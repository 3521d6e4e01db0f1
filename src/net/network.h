#pragma once
// A range of addresses, as routers write it: 172.17.0.0/16.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "net/endpoint.h"

namespace drover::net {

class Network {
 public:
  // "172.17.0.0/16", "fd00::/8". Nothing else parses.
  static std::optional<Network> parse(std::string_view text);
  // An IPv4 client of an IPv6 socket (::ffff:172.17.0.2) counts as the IPv4 address that it has.
  bool contains(const Endpoint& endpoint) const;

 private:
  std::array<unsigned char, 16> bytes_{};  // network order; IPv4 mapped into IPv6
  unsigned bits_ = 128;
};

}  // namespace drover::net
