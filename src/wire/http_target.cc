#include "wire/http_target.h"

#include <string>

#include "wire/http_chars.h"

namespace drover::wire {
namespace {

constexpr Fault kAsterisk{ErrorKind::kMalformed, "Only OPTIONS may have the request target '*'."};
constexpr Fault kBadForm{ErrorKind::kMalformed,
                         "The request target is neither a path nor an http or https URL."};
constexpr Fault kBadEscape{
    ErrorKind::kMalformed,
    "A percent sign in the request target is not followed by two hexadecimal digits."};
constexpr Fault kNoPath{ErrorKind::kMalformed, "The URL in the request line has no path."};

// Longer names cannot be looked up (RFC 1035 2.3.4).
constexpr std::size_t kMaxHost = 255;

std::optional<unsigned> decimal(std::string_view text, std::size_t max_digits, unsigned max) {
  if (text.empty() || text.size() > max_digits) return std::nullopt;
  unsigned value = 0;
  for (const char c : text) {
    if (!is_digit(c)) return std::nullopt;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  if (value > max) return std::nullopt;
  return value;
}

// No leading zeros: some take such an octet as an octal number, others as a decimal one (RFC 3986
// 3.2.2 has none).
bool is_ipv4(std::string_view text) {
  for (int octet = 0; octet < 4; ++octet) {
    const std::size_t dot = text.find('.');
    if ((dot == std::string_view::npos) != (octet == 3)) return false;
    const std::string_view digits = text.substr(0, dot);
    if (digits.size() > 1 && digits.starts_with('0')) return false;
    if (!decimal(digits, 3, 255)) return false;
    if (dot != std::string_view::npos) text.remove_prefix(dot + 1);
  }
  return true;
}

// The text between the brackets. Zone identifiers mean nothing to another machine: refused.
bool is_ipv6(std::string_view text) {
  int groups = 0;
  bool gap = text.starts_with("::");
  if (gap) text.remove_prefix(2);
  while (!text.empty()) {
    std::size_t digits = 0;
    while (digits < text.size() && hex_value(text[digits]) >= 0) ++digits;
    if (digits < text.size() && text[digits] == '.') {
      groups += 2;
      return is_ipv4(text) && (gap ? groups < 8 : groups == 8);
    }
    if (digits == 0 || digits > 4) return false;
    ++groups;
    text.remove_prefix(digits);
    if (text.empty()) break;
    if (text[0] != ':' || text.size() == 1) return false;
    text.remove_prefix(1);
    if (text[0] != ':') continue;
    if (gap) return false;
    gap = true;
    text.remove_prefix(1);
  }
  return gap ? groups < 8 : groups == 8;
}

bool escapes_are_sound(std::string_view text) {
  for (std::size_t at = text.find('%'); at != std::string_view::npos; at = text.find('%', at + 3)) {
    if (at + 2 >= text.size()) return false;
    if (hex_value(text[at + 1]) < 0 || hex_value(text[at + 2]) < 0) return false;
  }
  return true;
}

void split_origin_form(std::string_view target, RequestHead& out) {
  const std::size_t question = target.find('?');
  out.target = target;
  out.path = target.substr(0, question);
  out.query = question == std::string_view::npos ? std::string_view{} : target.substr(question + 1);
}

const Fault* read_absolute_form(std::string_view text, RequestHead& out, AbsoluteForm& absolute) {
  const std::size_t colon = text.find("://");
  if (colon == std::string_view::npos) return &kBadForm;
  const std::string_view scheme = text.substr(0, colon);
  const bool secure = field_is(scheme, "https");
  if (!secure && !field_is(scheme, "http")) return &kBadForm;
  absolute.default_port = secure ? 443 : 80;

  const std::string_view rest = text.substr(colon + 3);
  const std::size_t end = rest.find_first_of("/?");
  absolute.authority = rest.substr(0, end);
  if (!read_authority(absolute.authority)) return &kBadForm;
  // The origin form of "http://host" is "/". That of "http://host?query" does not occur in the
  // bytes, and no route of ours could be meant by it.
  if (end == std::string_view::npos) {
    split_origin_form("/", out);
    return nullptr;
  }
  if (rest[end] == '?') return &kNoPath;
  if (!all_chars(rest.substr(end), kTargetChar)) return &kBadForm;
  split_origin_form(rest.substr(end), out);
  return nullptr;
}

Error no_such_path() {
  return {ErrorKind::kNotFound, Origin::kClient, Retry::kNever,
          "There is no such path: it is not in its plain form."};
}

enum class Segment : std::uint8_t { kLiteral, kMaybeParameter };

// May this octet stay escaped? Never what could be taken apart or decoded again behind us: path
// delimiters, dots, the percent sign itself, controls. An escape of a plain letter makes a second
// name of the same path, which is harmless only where a parameter may stand.
bool may_stay_escaped(char octet, Segment segment) {
  if (!is_char(octet, kValueChar) || octet == '\t') return false;
  if (std::string_view("/\\.%?#").find(octet) != std::string_view::npos) return false;
  return segment == Segment::kMaybeParameter || !is_char(octet, kUnreservedChar);
}

bool is_sound_segment(std::string_view text, Segment segment) {
  if (text == "." || text == "..") return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '?' || !is_char(text[i], kTargetChar)) return false;
    if (text[i] != '%') continue;
    if (i + 2 >= text.size()) return false;
    const int high = hex_value(text[i + 1]);
    const int low = hex_value(text[i + 2]);
    if (high < 0 || low < 0) return false;
    if (!may_stay_escaped(static_cast<char>(high * 16 + low), segment)) return false;
    i += 2;
  }
  return true;
}

}  // namespace

std::optional<Authority> read_authority(std::string_view text) {
  Authority authority;
  std::size_t host_end = 0;
  if (text.starts_with('[')) {
    const std::size_t bracket = text.find(']');
    if (bracket == std::string_view::npos) return std::nullopt;
    if (!is_ipv6(text.substr(1, bracket - 1))) return std::nullopt;
    host_end = bracket + 1;
  } else {
    host_end = skip_chars(text, 0, kUnreservedChar);
    if (host_end == 0 || host_end > kMaxHost) return std::nullopt;
  }
  authority.host = text.substr(0, host_end);
  const std::string_view rest = text.substr(host_end);
  if (rest.empty() || rest == ":") return authority;
  if (rest[0] != ':') return std::nullopt;
  const std::optional<unsigned> port = decimal(rest.substr(1), 5, 65535);
  if (!port) return std::nullopt;
  authority.port = static_cast<std::uint16_t>(*port);
  return authority;
}

bool same_authority(const Authority& a, const Authority& b, std::uint16_t default_port) {
  if (a.port.value_or(default_port) != b.port.value_or(default_port)) return false;
  if (a.host.size() != b.host.size()) return false;
  for (std::size_t i = 0; i < a.host.size(); ++i) {
    if (to_lower(a.host[i]) != to_lower(b.host[i])) return false;
  }
  return true;
}

const Fault* read_target(std::string_view text, RequestHead& out, AbsoluteForm& absolute) {
  if (!escapes_are_sound(text)) return &kBadEscape;
  if (text == "*") {
    if (out.method != Method::kOptions) return &kAsterisk;
    out.target = out.path = text;
    return nullptr;
  }
  if (!text.starts_with('/')) return read_absolute_form(text, out, absolute);
  split_origin_form(text, out);
  return nullptr;
}

Result<std::string_view> canonical_path(std::string_view path) {
  if (!path.starts_with('/')) return no_such_path();
  std::size_t segments = 0;
  for (std::size_t at = 1; at < path.size();) {
    ++segments;
    const std::size_t slash = path.find('/', at);
    const bool last = slash == std::string_view::npos;
    const std::string_view text = path.substr(at, last ? slash : slash - at);
    // Routes have their parameters behind two literal segments ("/v1/models/NAME"), and literals
    // are compared as bytes, so that an alias of a literal that gets this far matches nothing.
    const Segment kind = last && segments >= 3 ? Segment::kMaybeParameter : Segment::kLiteral;
    if (text.empty() || !is_sound_segment(text, kind)) return no_such_path();
    if (last) break;
    at = slash + 1;
  }
  return path;
}

Result<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      return Error{ErrorKind::kMalformed, Origin::kClient, Retry::kNever, kBadEscape.message};
    }
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return out;
}

}  // namespace drover::wire
