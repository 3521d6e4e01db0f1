#pragma once
// Where a socket is: an address literal and a port. Names become endpoints through a Resolver.

#include <sys/socket.h>

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace drover::net {

// An IPv4 or IPv6 address with a port.
class Endpoint {
 public:
  Endpoint() = default;

  // "127.0.0.1:80", "[::1]:80". Port 0 is allowed (the kernel chooses). Nothing else parses.
  static std::optional<Endpoint> parse(std::string_view text);
  // An address literal without brackets ("::1") and a port.
  static std::optional<Endpoint> from_literal(std::string_view address, std::uint16_t port);
  // Families other than IPv4 and IPv6 give the default Endpoint (0.0.0.0:0).
  static Endpoint from_sockaddr(const sockaddr* address);

  Endpoint with_port(std::uint16_t port) const;
  std::uint16_t port() const { return port_; }
  bool is_v6() const { return v6_; }
  bool is_loopback() const;
  bool is_wildcard() const;
  // Private (RFC 1918), unique-local, link-local or carrier-grade shared: not of the open network.
  bool is_private() const;
  std::string to_string() const;
  std::string address_text() const;

  // Fills `out`, returns its length.
  socklen_t to_sockaddr(sockaddr_storage& out) const;

  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;

 private:
  unsigned char bytes_[16] = {};  // network order; IPv4 in the first four
  std::uint16_t port_ = 0;
  bool v6_ = false;
};

// A host as configured (name or literal) and a port.
struct HostPort {
  std::string host;
  std::uint16_t port = 0;
  // As it belongs into a Host field: "name:port", "[::1]:port".
  std::string to_string() const;
};

}  // namespace drover::net
