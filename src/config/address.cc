#include "config/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <system_error>

#include "config/words.h"

namespace drover::config {
namespace {

constexpr std::size_t kLongestName = 253;  // RFC 1035, without the final dot
constexpr std::size_t kLongestLabel = 63;  // RFC 1035
constexpr std::string_view kHttp = "http://";

Error refuse(std::string message) {
  return Error{ErrorKind::kConfig, Origin::kSelf, Retry::kNever, std::move(message)};
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool is_digits_and_dots(std::string_view text) {
  return text.find_first_not_of("0123456789.") == std::string_view::npos;
}

// The canonical spelling, if `text` is an IPv6 literal.
std::optional<std::string> canonical_v6(const std::string& text) {
  in6_addr address{};
  const bool whole = text.find('\0') == std::string::npos;  // else only what stands before is read
  if (!whole || inet_pton(AF_INET6, text.c_str(), &address) != 1) return std::nullopt;
  char out[INET6_ADDRSTRLEN] = {};
  inet_ntop(AF_INET6, &address, out, sizeof out);
  return out;
}

bool is_label(std::string_view label) {
  if (label.empty() || label.size() > kLongestLabel) return false;
  if (label.front() == '-' || label.back() == '-') return false;
  return std::all_of(label.begin(), label.end(), [](char c) {
    // The underscore is no host name in DNS, yet container names have it.
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

bool is_name(std::string_view name) {
  if (name.empty() || name.size() > kLongestName) return false;
  while (true) {
    const std::size_t dot = name.find('.');
    if (!is_label(name.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    name.remove_prefix(dot + 1);
  }
}

// An address to listen on may leave the choice of the port to the kernel.
enum class LowestPort : std::uint8_t { kZero = 0, kOne = 1 };

Result<std::uint16_t> parse_port(std::string_view whole, std::string_view text, LowestPort lowest) {
  std::uint32_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  const bool number = error == std::errc{} && end == text.data() + text.size();
  if (!number || port < static_cast<std::uint32_t>(lowest) || port > 65535) {
    return refuse(fmt::format("{} has the port {}; a port is a number from 1 to 65535",
                              quote(whole), quote(text)));
  }
  return static_cast<std::uint16_t>(port);
}

struct Split {
  std::string_view host;
  std::string_view port;
  bool has_port = false;
  bool bracketed = false;
};

// Takes "host:port" or "[v6]:port" apart without judging the parts.
Result<Split> split_host_port(std::string_view whole, std::string_view text) {
  Split out;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) {
      return refuse(
          fmt::format("{} opens a bracket and does not close it; write [::1]:11434", quote(whole)));
    }
    out.host = text.substr(1, close - 1);
    out.bracketed = true;
    const std::string_view rest = text.substr(close + 1);
    if (!rest.empty() && rest.front() != ':') {
      return refuse(
          fmt::format("{} has something other than a port after its bracket; write "
                      "[::1]:11434",
                      quote(whole)));
    }
    out.has_port = rest.size() > 1;
    if (out.has_port) out.port = rest.substr(1);
    return out;
  }
  const std::size_t colon = text.find(':');
  if (colon != std::string_view::npos && text.find(':', colon + 1) != std::string_view::npos) {
    return refuse(fmt::format("{} looks like an IPv6 address without brackets; write [::1]:11434",
                              quote(whole)));
  }
  out.host = text.substr(0, colon);
  out.has_port = colon != std::string_view::npos && colon + 1 < text.size();
  if (out.has_port) out.port = text.substr(colon + 1);
  return out;
}

// What the place of an address asks for: how an example begins, and which ports are meant.
struct Expected {
  std::string_view scheme;
  std::uint16_t usual_port = kClientPort;
  LowestPort lowest = LowestPort::kOne;
};

Result<HostPort> parse_authority(std::string_view whole, std::string_view text,
                                 const Expected& expected) {
  const Result<Split> split = split_host_port(whole, text);
  if (!split) return split.error();
  if (split->host.empty()) {
    return refuse(fmt::format("{} has no host; write {}127.0.0.1:{}", quote(whole), expected.scheme,
                              expected.usual_port));
  }
  Result<std::string> host = parse_host(split->host);
  if (!host) return host.error();
  const bool v6 = host->find(':') != std::string::npos;
  if (split->bracketed != v6) {
    return refuse(fmt::format("{} has brackets around what is no IPv6 address; leave them out",
                              quote(whole)));
  }
  if (!split->has_port) {
    const std::string shown = HostPort{*host, expected.usual_port}.to_string();
    return refuse(fmt::format("{} has no port; write {}{}", quote(whole), expected.scheme, shown));
  }
  const Result<std::uint16_t> port = parse_port(whole, split->port, expected.lowest);
  if (!port) return port.error();
  return HostPort{std::move(*host), *port};
}

// Nothing when `rest` (what follows the scheme) is an authority alone.
std::optional<Error> refuse_extras(std::string_view whole, std::string_view rest,
                                   std::string_view authority) {
  const std::string_view path = rest.substr(authority.size());
  if (authority.find('@') != std::string_view::npos) {
    return refuse(
        fmt::format("{} carries a user name or password, which Ollama does not read; "
                    "write http://host:port",
                    quote(whole)));
  }
  if (path.starts_with('?') || path.starts_with('#')) {
    return refuse(
        fmt::format("{} carries a query or fragment; write only http://host:port", quote(whole)));
  }
  if (!path.empty() && path != "/") {
    return refuse(
        fmt::format("{} carries the path {}; drover adds paths itself, so write only "
                    "http://host:port",
                    quote(whole), quote(path)));
  }
  return std::nullopt;
}

Result<HostPort> parse_bare(std::string_view text, const Expected& expected) {
  if (text.find("://") != std::string_view::npos) {
    return refuse(fmt::format("{} is a URL; write only host:port, such as 127.0.0.1:{}",
                              quote(text), expected.usual_port));
  }
  return parse_authority(text, text, expected);
}

}  // namespace

Result<std::string> parse_host(std::string_view text) {
  std::string host = lower(text);
  if (host.find(':') != std::string::npos) {
    if (auto v6 = canonical_v6(host)) return *std::move(v6);
    return refuse(fmt::format("{} is no IPv6 address (and zones such as %eth0 are not understood)",
                              quote(text)));
  }
  if (is_digits_and_dots(host) && !host.empty()) {
    in_addr address{};
    if (inet_pton(AF_INET, host.c_str(), &address) == 1) return host;
    return refuse(
        fmt::format("{} is no IPv4 address; write four numbers from 0 to 255, such as "
                    "127.0.0.1",
                    quote(text)));
  }
  if (is_name(host)) return host;
  return refuse(
      fmt::format("{} is no host name; names have letters, digits, '-', '_' and '.'", quote(text)));
}

Result<HostPort> parse_host_port(std::string_view text, std::uint16_t usual_port) {
  return parse_bare(text, {.scheme = "", .usual_port = usual_port});
}

Result<HostPort> parse_listen_address(std::string_view text, std::uint16_t usual_port) {
  const Expected expected{.scheme = "", .usual_port = usual_port, .lowest = LowestPort::kZero};
  Result<HostPort> address = parse_bare(text, expected);
  if (!address) return address;
  const std::string& host = address->host;
  const bool literal = is_digits_and_dots(host) || host.find(':') != std::string::npos;
  if (literal || host == "localhost") return address;
  return refuse(
      fmt::format("{} names a host, but only an address of this machine can be listened "
                  "on; write 127.0.0.1:{}, or 0.0.0.0:{} for every address",
                  quote(text), address->port, address->port));
}

Result<Backend> parse_backend_url(std::string_view text) {
  const std::string start = lower(text.substr(0, 8));
  if (start == "https://") {
    return refuse(
        fmt::format("{} asks for https, but drover speaks plain HTTP to instances; write "
                    "http://host:port",
                    quote(text)));
  }
  if (!start.starts_with(kHttp)) {
    const bool other = text.find("://") != std::string_view::npos;
    if (other || !parse_host_port(text).ok()) {
      return refuse(
          fmt::format("{} does not start with http://; write a URL such as "
                      "http://127.0.0.1:11434",
                      quote(text)));
    }
    return refuse(fmt::format("{} lacks its scheme; write http://{}", quote(text), text));
  }
  const std::string_view rest = text.substr(kHttp.size());
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  if (auto error = refuse_extras(text, rest, authority)) return *std::move(error);

  Result<HostPort> address = parse_authority(text, authority, {.scheme = kHttp});
  if (!address) return address.error();
  if (address->is_wildcard()) {
    return refuse(
        fmt::format("{} names every address, which can be listened on but not connected "
                    "to; for this machine write http://127.0.0.1:{}",
                    quote(text), address->port));
  }
  Backend backend;
  backend.url = std::string(kHttp) + address->to_string();
  backend.address = *std::move(address);
  return backend;
}

bool same_place(const HostPort& a, const HostPort& b) {
  if (a.port != b.port) return false;
  if (a.host == b.host) return true;
  const auto usual = [](const HostPort& x) { return x.host == "127.0.0.1" || x.host == "::1"; };
  return (a.host == "localhost" && usual(b)) || (b.host == "localhost" && usual(a));
}

bool reaches(const HostPort& listener, const HostPort& target) {
  if (same_place(listener, target)) return true;
  return listener.port == target.port && listener.is_wildcard() && target.is_loopback();
}

}  // namespace drover::config
