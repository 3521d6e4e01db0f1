#include "net/endpoint.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace drover::net {
namespace {

constexpr unsigned char kV4Mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr unsigned char kV6Loopback[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

std::optional<std::uint16_t> parse_port(std::string_view text) {
  if (text.empty() || text.size() > 5) return std::nullopt;
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return port;
}

}  // namespace

std::optional<Endpoint> Endpoint::parse(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::optional<std::uint16_t> port = parse_port(text.substr(colon + 1));
  if (!port) return std::nullopt;
  std::string_view address = text.substr(0, colon);
  const bool bracketed = address.size() >= 2 && address.front() == '[' && address.back() == ']';
  if (bracketed) address = address.substr(1, address.size() - 2);
  std::optional<Endpoint> endpoint = from_literal(address, *port);
  // "::1:80" could mean two things, "[127.0.0.1]:80" means nothing.
  if (endpoint && endpoint->v6_ != bracketed) return std::nullopt;
  return endpoint;
}

namespace {

// "127.0.0.1", as inet_pton reads it: four numbers without leading zeros.
bool read_v4(std::string_view text, unsigned char* bytes) {
  const char* at = text.data();
  const char* const end = at + text.size();
  for (int i = 0; i < 4; ++i) {
    if (i > 0 && (at == end || *at++ != '.')) return false;
    const char* const digits = at;
    unsigned value = 0;
    while (at != end && *at >= '0' && *at <= '9' && value < 256) {
      value = value * 10 + static_cast<unsigned>(*at++ - '0');
    }
    const auto length = at - digits;
    if (length == 0 || value > 255 || (length > 1 && *digits == '0')) return false;
    bytes[i] = static_cast<unsigned char>(value);
  }
  return at == end;
}

bool read_v6(std::string_view text, unsigned char* bytes) {
  char terminated[INET6_ADDRSTRLEN] = {};
  if (text.size() >= sizeof(terminated) || text.find('\0') != std::string_view::npos) return false;
  std::copy(text.begin(), text.end(), terminated);
  return inet_pton(AF_INET6, terminated, bytes) == 1;
}

}  // namespace

std::optional<Endpoint> Endpoint::from_literal(std::string_view address, std::uint16_t port) {
  Endpoint endpoint;
  endpoint.port_ = port;
  endpoint.v6_ = address.find(':') != std::string_view::npos;
  const bool read =
      endpoint.v6_ ? read_v6(address, endpoint.bytes_) : read_v4(address, endpoint.bytes_);
  return read ? std::optional(endpoint) : std::nullopt;
}

Endpoint Endpoint::from_sockaddr(const sockaddr* address) {
  Endpoint endpoint;
  if (address->sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, address, sizeof(v4));
    std::memcpy(endpoint.bytes_, &v4.sin_addr, 4);
    endpoint.port_ = ntohs(v4.sin_port);
  } else if (address->sa_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, address, sizeof(v6));
    std::memcpy(endpoint.bytes_, &v6.sin6_addr, 16);
    endpoint.port_ = ntohs(v6.sin6_port);
    endpoint.v6_ = true;
  }
  return endpoint;
}

Endpoint Endpoint::with_port(std::uint16_t port) const {
  Endpoint other = *this;
  other.port_ = port;
  return other;
}

bool Endpoint::is_loopback() const {
  if (!v6_) return bytes_[0] == 127;
  if (std::equal(std::begin(kV4Mapped), std::end(kV4Mapped), bytes_)) return bytes_[12] == 127;
  return std::equal(std::begin(bytes_), std::end(bytes_), kV6Loopback);
}

bool Endpoint::is_private() const {
  const bool mapped = v6_ && std::equal(std::begin(kV4Mapped), std::end(kV4Mapped), bytes_);
  if (v6_ && !mapped) {
    const bool unique_local = (bytes_[0] & 0xfe) == 0xfc;
    const bool link_local = bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
    return unique_local || link_local;
  }
  const unsigned char* v4 = mapped ? bytes_ + 12 : bytes_;
  return v4[0] == 10 || (v4[0] == 172 && (v4[1] & 0xf0) == 16) || (v4[0] == 192 && v4[1] == 168) ||
         (v4[0] == 169 && v4[1] == 254) || (v4[0] == 100 && (v4[1] & 0xc0) == 64);
}

bool Endpoint::is_wildcard() const {
  return std::all_of(std::begin(bytes_), std::end(bytes_), [](unsigned char b) { return b == 0; });
}

std::string Endpoint::address_text() const {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(v6_ ? AF_INET6 : AF_INET, bytes_, text, sizeof(text));
  return text;
}

std::string Endpoint::to_string() const {
  return v6_ ? fmt::format("[{}]:{}", address_text(), port_)
             : fmt::format("{}:{}", address_text(), port_);
}

socklen_t Endpoint::to_sockaddr(sockaddr_storage& out) const {
  out = {};
  if (v6_) {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port_);
    std::memcpy(&v6.sin6_addr, bytes_, 16);
    std::memcpy(&out, &v6, sizeof(v6));
    return sizeof(v6);
  }
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port_);
  std::memcpy(&v4.sin_addr, bytes_, 4);
  std::memcpy(&out, &v4, sizeof(v4));
  return sizeof(v4);
}

std::string HostPort::to_string() const {
  const bool bare_v6 = host.find(':') != std::string::npos && !host.starts_with('[');
  return bare_v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

}  // namespace drover::net
