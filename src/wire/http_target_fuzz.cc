// The small readers of a head, with any bytes: paths, authorities, escapes, lists. Where the system
// has a reader of its own (addresses), the two agree.

#include "wire/http_target.h"

#include <arpa/inet.h>  // tidy: allow(pure-core) what the system calls an address

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "wire/http_chars.h"
#include "wire/http_fuzz_pieces.h"

namespace drover::wire {
namespace {

bool is_ipv6_to_the_system(std::string_view text) {
  in6_addr address{};
  return text.find('\0') == std::string_view::npos &&
         inet_pton(AF_INET6, std::string(text).c_str(), &address) == 1;
}

void check_authority(std::string_view text) {
  const std::optional<Authority> authority = read_authority(text);
  const std::string bracketed = "[" + std::string(text) + "]:80";
  require(read_authority(bracketed).has_value() == is_ipv6_to_the_system(text),
          "an IPv6 address is one to the system too");
  if (!authority) return;
  require(text.starts_with(authority->host) && !authority->host.empty(), "the host is in front");
  require(authority->host.size() <= 255, "a host can be looked up");
  std::string again(authority->host);
  if (authority->port) again += ':' + std::to_string(*authority->port);
  const std::optional<Authority> second = read_authority(again);
  require(second && same_authority(*authority, *second, 80), "it can be read again");
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
  return out;
}

void check_escapes(std::string_view text) {
  const auto back = percent_decode(percent_encode(text));
  require(back.ok() && *back == text, "what was escaped comes back");
  const auto once = percent_decode(text);
  require(!once || once->size() <= text.size(), "decoding adds nothing");
}

// A path has one spelling: nothing that decodes to an accepted path is accepted beside it, unless
// it is the parameter at the end.
void check_path(std::string_view path) {
  const auto canonical = canonical_path(path);
  if (!canonical) return;
  const auto decoded = percent_decode(path);
  require(decoded.ok(), "a canonical path can be decoded");
  const std::size_t last = path.rfind('/');
  const std::string_view fixed = path.substr(0, last);
  for (std::size_t at = fixed.find('%'); at != std::string_view::npos;
       at = fixed.find('%', at + 1)) {
    const char octet = static_cast<char>(hex_value(fixed[at + 1]) * 16 + hex_value(fixed[at + 2]));
    require(!is_char(octet, kUnreservedChar), "only what needs it is escaped");
  }
  require((*decoded + "/").find("/./") == std::string::npos, "no dot segments");
  require((*decoded + "/").find("/../") == std::string::npos, "no dot segments");
  require(decoded->find("//") == std::string::npos, "no empty segments");
}

std::string lower(std::string_view text) {
  std::string out;
  for (const char c : text) out += to_lower(c);
  return out;
}

// RFC 9110 5.6.1 in its plainest form.
bool is_member(std::string_view list, std::string_view token) {
  constexpr std::string_view kBlank = " \t";
  while (true) {
    const std::size_t comma = list.find(',');
    std::string_view each = list.substr(0, comma);
    const std::size_t first = each.find_first_not_of(kBlank);
    each = first == std::string_view::npos ? std::string_view() : each.substr(first);
    each = each.substr(0, each.find_last_not_of(kBlank) + 1);
    if (!each.empty() && lower(each) == token) return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
}

void check_list(std::string_view list) {
  const std::string_view first = list.substr(0, list.find_first_of(", \t"));
  for (const std::string& token : {lower(first), std::string("close"), std::string("chunked")}) {
    if (token.empty() || !all_chars(token, kTokenChar)) continue;
    require(list_has_token(list, token) == is_member(list, token), "members of a list");
  }
}

}  // namespace
}  // namespace drover::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drover::wire;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_authority(text);
  check_escapes(text);
  check_path(text);
  check_list(text);
  return 0;
}
