#pragma once
// Addresses as people write them. Stricter than a browser: what two programs could read two ways
// ("http://127.1:80", "http://a@b:1") is refused with the reason and an example.
// Messages are the end of a sentence whose beginning names the place: "'x' has no port; …".

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "config/config.h"

namespace drover::config {

inline constexpr std::uint16_t kClientPort = 11434;
inline constexpr std::uint16_t kAdminPort = 11436;

// "127.0.0.1:11434", "[::1]:11434", "localhost:11434". Port 1 to 65535. `usual_port` is what an
// Error proposes when there is none.
Result<HostPort> parse_host_port(std::string_view text, std::uint16_t usual_port = kClientPort);

// The same for an address to listen on: port 0 lets the kernel choose, and the host is an address
// literal or localhost, because a name could stand for several addresses, or for another machine.
Result<HostPort> parse_listen_address(std::string_view text,
                                      std::uint16_t usual_port = kClientPort);

// "http://host:port" and nothing more (a single "/" at the end is forgiven and dropped). Fills
// `url` (canonical: lower case, IPv6 shortened) and `address`.
Result<Backend> parse_backend_url(std::string_view text);

// A host alone: a name (lower-cased), an IPv4 literal, or an IPv6 literal without brackets.
Result<std::string> parse_host(std::string_view text);

// Two ways to write the same place: "localhost" is 127.0.0.1 and ::1.
bool same_place(const HostPort& a, const HostPort& b);

// A connection to `target` from this machine would arrive at `listener`.
bool reaches(const HostPort& listener, const HostPort& target);

}  // namespace drover::config
