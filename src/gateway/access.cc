#include "gateway/access.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "net/endpoint.h"

namespace drover::gateway {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

// Whatever its case.
bool is_spelled(std::string_view name, std::string_view lower_case) {
  return name.size() == lower_case.size() && lower(name) == lower_case;
}

// "name:80", "[::1]:80", "name" without the port and the brackets.
std::string_view host_part(std::string_view authority) {
  if (authority.starts_with('[')) {
    const std::size_t end = authority.find(']');
    return end == std::string_view::npos ? authority : authority.substr(1, end - 1);
  }
  return authority.substr(0, authority.find(':'));
}

bool is_near_address(std::string_view host) {
  const std::optional<net::Endpoint> address = net::Endpoint::from_literal(host, 0);
  if (!address) return false;
  return address->is_loopback() || address->is_wildcard() || address->is_private();
}

bool matches(const std::string& pattern, std::string_view name) {
  if (pattern == "*") return true;
  if (pattern.starts_with("*.")) return name.ends_with(std::string_view(pattern).substr(1));
  return pattern == name;
}

constexpr std::array<std::string_view, 3> kNearSuffixes = {".localhost", ".local", ".internal"};
constexpr std::array<std::string_view, 4> kLocalNames = {"localhost", "127.0.0.1", "0.0.0.0",
                                                         "[::1]"};
constexpr std::array<std::string_view, 5> kAppSchemes = {"app://", "file://", "tauri://",
                                                         "vscode-webview://", "vscode-file://"};

// The part after "http://" or "https://"; empty for other schemes.
std::string_view after_http(std::string_view origin) {
  for (std::string_view scheme : {"http://", "https://"}) {
    if (origin.starts_with(scheme)) return origin.substr(scheme.size());
  }
  return {};
}

bool is_local_page(std::string_view host_and_port) {
  for (std::string_view name : kLocalNames) {
    if (host_and_port == name) return true;
    if (host_and_port.starts_with(name) && host_and_port.substr(name.size()).starts_with(':')) {
      return true;
    }
  }
  return false;
}

bool configured_origin(std::string_view origin, const AccessPolicy& policy) {
  for (const std::string& configured : policy.origins) {
    const std::string pattern = lower(configured);
    if (pattern == "*" || pattern == origin) return true;
    if (pattern.ends_with("://*") &&
        origin.starts_with(std::string_view(pattern).substr(0, pattern.size() - 1))) {
      return true;
    }
  }
  return false;
}

std::string_view denied(Scope scope) {
  switch (scope) {
    case Scope::kIdentity:
      return "the fleet's account may not";
    case Scope::kExperimental:
      return "experimental routes may not";
    default:
      return "not changed";
  }
}

}  // namespace

Result<void> check_host(std::string_view authority, const AccessPolicy& policy) {
  const std::string host = lower(host_part(authority));
  // What nearly every client says needs no look at its parts.
  if (host.empty() || host == "localhost" || host == "127.0.0.1") return {};
  if (is_spelled(policy.hostname, host)) return {};
  for (std::string_view suffix : kNearSuffixes) {
    if (host.ends_with(suffix)) return {};
  }
  if (is_near_address(host)) return {};
  for (const std::string& pattern : policy.hosts) {
    if (matches(lower(pattern), host)) return {};
  }
  return Error{ErrorKind::kMisdirected, Origin::kClient, Retry::kNever,
               "host '" + host +
                   "' is not one of this server's names; if it is, add it to "
                   "allowed_hosts in drover's configuration"};
}

Result<void> check_origin(std::string_view origin, std::string_view authority,
                          const AccessPolicy& policy) {
  if (origin.empty()) return {};
  const std::string page = lower(origin);
  const std::string_view host_and_port = after_http(page);
  if (!host_and_port.empty() &&
      (host_and_port == lower(authority) || is_local_page(host_and_port))) {
    return {};
  }
  for (std::string_view scheme : kAppSchemes) {
    if (page.starts_with(scheme)) return {};
  }
  if (configured_origin(page, policy)) return {};
  return Error{ErrorKind::kForbidden, Origin::kClient, Retry::kNever,
               "pages of this origin may not use this server; if they should, add the origin to "
               "allowed_origins in drover's configuration"};
}

Result<void> check_scope(Scope scope, const WhoAsks& asker, const AccessPolicy& policy) {
  if (scope == Scope::kUse || asker.local) return {};
  for (const net::Network& network : policy.trust) {
    if (network.contains(asker.peer)) return {};
  }
  std::string address = asker.peer.address_text();
  constexpr std::string_view kMapped = "::ffff:";
  if (address.starts_with(kMapped)) address.erase(0, kMapped.size());
  const int bits = address.find(':') == std::string::npos ? 32 : 128;
  return Error{ErrorKind::kForbidden, Origin::kClient, Retry::kNever,
               fmt::format("from {} models may be used and {}; to grant it, write into drover's "
                           "configuration: trust: [{}/{}]",
                           address, denied(scope), address, bits)};
}

Result<void> check_own_page(const Asker& asker, std::string_view authority) {
  const auto forbidden = [](std::string why) {
    return Error{ErrorKind::kForbidden, Origin::kClient, Retry::kNever, std::move(why)};
  };
  const std::string page = lower(asker.origin);
  const std::string_view at = after_http(page);
  if (!page.empty() && (at.empty() || at != lower(authority))) {
    return forbidden(
        "pages of another origin may change nothing here; use this address's own page, or drover "
        "backends on a terminal");
  }
  const std::string site = lower(asker.fetch_site);
  if (!site.empty() && site != "same-origin" && site != "none") {
    return forbidden("the browser says that another site caused this request (Sec-Fetch-Site)");
  }
  for (std::string_view form :
       {"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"}) {
    if (lower(asker.content_type).starts_with(form)) {
      return forbidden("forms are not taken here; send no body, or application/json");
    }
  }
  return {};
}

}  // namespace drover::gateway
