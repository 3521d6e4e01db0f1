#include "fake_ollama/guard.h"

#include <arpa/inet.h>
#include <unistd.h>

#include <array>
#include <string>

namespace drover::fake {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// Without port and brackets.
std::string host_name(std::string_view authority) {
  if (authority.starts_with('[')) return lower(authority.substr(1, authority.find(']') - 1));
  return lower(authority.substr(0, authority.find(':')));
}

// Loopback, private, unspecified; "local" means an address of this machine, which the double does
// not look up: a test that needs another one can use a private address.
bool address_allowed(const std::string& host) {
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) {
    const std::uint32_t a = ntohl(v4.s_addr);
    return a == 0 || a >> 24 == 127 || a >> 24 == 10 || a >> 20 == 0xac1 || a >> 16 == 0xc0a8;
  }
  in6_addr v6{};
  if (inet_pton(AF_INET6, host.c_str(), &v6) != 1) return false;
  return IN6_IS_ADDR_LOOPBACK(&v6) || IN6_IS_ADDR_UNSPECIFIED(&v6) ||
         (v6.s6_addr[0] & 0xfe) == 0xfc;
}

bool name_allowed(const std::string& host) {
  char machine[256] = {};
  (void)gethostname(machine, sizeof machine - 1);
  if (host.empty() || host == "localhost" || host == lower(machine)) return true;
  return host.ends_with(".localhost") || host.ends_with(".local") || host.ends_with(".internal");
}

}  // namespace

bool host_allowed(const Request& request, bool on_loopback) {
  if (!on_loopback) return true;
  const std::string host = host_name(request.host);
  return name_allowed(host) || address_allowed(host);
}

bool origin_allowed(const Request& request) {
  const auto origin = request.find("origin");
  if (!origin || origin->empty()) return true;
  if (*origin == "http://" + request.host || *origin == "https://" + request.host) return true;
  constexpr std::array<std::string_view, 5> kSchemes = {"app://", "file://", "tauri://",
                                                        "vscode-webview://", "vscode-file://"};
  for (std::string_view scheme : kSchemes) {
    if (origin->starts_with(scheme)) return true;
  }
  for (std::string_view scheme : {"http://", "https://"}) {
    if (!origin->starts_with(scheme)) continue;
    const std::string host = host_name(origin->substr(scheme.size()));
    if (host == "localhost" || host == "127.0.0.1" || host == "0.0.0.0") return true;
  }
  return false;
}

}  // namespace drover::fake
