// Addresses of sockets: what is accepted is what the system reads, and is written as it is read.

#include "net/endpoint.h"

#include <arpa/inet.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using drover::net::Endpoint;

void require(bool condition) {
  if (!condition) std::abort();
}

bool is_literal_to_the_system(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return false;
  const std::string copy(text);
  in_addr v4{};
  in6_addr v6{};
  return inet_pton(AF_INET, copy.c_str(), &v4) == 1 || inet_pton(AF_INET6, copy.c_str(), &v6) == 1;
}

void check_same(const Endpoint& endpoint) {
  const auto again = Endpoint::parse(endpoint.to_string());
  require(again && *again == endpoint);
  const auto literal = Endpoint::from_literal(endpoint.address_text(), endpoint.port());
  require(literal && *literal == endpoint);
  sockaddr_storage storage{};
  require(endpoint.to_sockaddr(storage) > 0);
  require(Endpoint::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage)) == endpoint);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto endpoint = Endpoint::parse(text)) check_same(*endpoint);
  const auto literal = Endpoint::from_literal(text, 80);
  require(literal.has_value() == is_literal_to_the_system(text));
  if (literal) check_same(*literal);
  return 0;
}
