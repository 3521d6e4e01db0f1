#include "net/network.h"

#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace drover::net {
namespace {

using Bytes = std::array<unsigned char, 16>;
constexpr unsigned kMappedBits = 96;  // in front of an IPv4 address

Bytes bytes_of(const Endpoint& endpoint) {
  sockaddr_storage storage;
  endpoint.to_sockaddr(storage);
  Bytes bytes{};
  if (endpoint.is_v6()) {
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr, 16);
    return bytes;
  }
  bytes[10] = bytes[11] = 0xFF;
  std::memcpy(bytes.data() + 12, &reinterpret_cast<const sockaddr_in&>(storage).sin_addr, 4);
  return bytes;
}

}  // namespace

std::optional<Network> Network::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::optional<Endpoint> address = Endpoint::from_literal(text.substr(0, slash), 0);
  if (!address) return std::nullopt;
  unsigned bits = 0;
  const std::string_view length = text.substr(slash + 1);
  const auto read = std::from_chars(length.data(), length.data() + length.size(), bits);
  const unsigned most = address->is_v6() ? 128 : 32;
  if (read.ec != std::errc() || read.ptr != length.data() + length.size() || bits > most) {
    return std::nullopt;
  }
  Network network;
  network.bytes_ = bytes_of(*address);
  network.bits_ = address->is_v6() ? bits : kMappedBits + bits;
  return network;
}

bool Network::contains(const Endpoint& endpoint) const {
  const Bytes bytes = bytes_of(endpoint);
  for (unsigned bit = 0; bit < bits_; ++bit) {
    const unsigned mask = 0x80U >> (bit % 8);
    if ((bytes[bit / 8] & mask) != (bytes_[bit / 8] & mask)) return false;
  }
  return true;
}

}  // namespace drover::net
