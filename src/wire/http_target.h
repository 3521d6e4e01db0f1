#pragma once
// Request targets and authorities (RFC 9112 3.2, RFC 3986). Private to the HTTP half of wire/.

#include <cstdint>
#include <optional>
#include <string_view>

#include "wire/http_fields.h"
#include "wire/http_head.h"

namespace drover::wire {

// host [":" port], where host is a name, an IPv4 or a bracketed IPv6 address.
struct Authority {
  std::string_view host;
  std::optional<std::uint16_t> port;  // absent also when nothing follows the colon
};
// nullopt when it is not one. Stricter than RFC 3986: no user, no escapes, no sub-delims.
std::optional<Authority> read_authority(std::string_view text);

// Case does not matter, and a missing port is the default one.
bool same_authority(const Authority& a, const Authority& b, std::uint16_t default_port);

// What an absolute-form target says beside the path.
struct AbsoluteForm {
  std::string_view authority;       // empty: the target was in origin form
  std::uint16_t default_port = 80;  // by the scheme
};

// Takes `text` apart into out.target, path and query; out.method says whether "*" is one. Every
// octet of `text` is a target character, or, when it does not begin with '/', a URL character.
const Fault* read_target(std::string_view text, RequestHead& out, AbsoluteForm& absolute);

}  // namespace drover::wire
