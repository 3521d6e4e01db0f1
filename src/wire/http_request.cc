#include <algorithm>
#include <utility>

#include "wire/http_chars.h"
#include "wire/http_fields.h"
#include "wire/http_head.h"
#include "wire/http_target.h"

namespace drover::wire {
namespace {

constexpr Fault kEmptyLines{ErrorKind::kMalformed, "There are empty lines before the request."};
constexpr Fault kBadStart{ErrorKind::kMalformed,
                          "The request does not begin with the name of a method."};
constexpr Fault kBadLine{ErrorKind::kMalformed,
                         "The request line is not 'METHOD TARGET HTTP/1.1' with single spaces."};
constexpr Fault kTargetTooLarge{ErrorKind::kTargetTooLong, "The request target is longer than ",
                                Fault::Bound::kTarget};
constexpr Fault kLongMethod{ErrorKind::kUnsupported,
                            "The request method is longer than any that is implemented."};
constexpr Fault kConnect{ErrorKind::kUnsupported, "The method CONNECT is not implemented."};
constexpr Fault kPreface{ErrorKind::kMalformed, "HTTP/2 is not spoken on this listener."};
constexpr Fault kVersion{ErrorKind::kHttpVersion,
                         "Only HTTP/1.0 and HTTP/1.1 are spoken on this listener."};
constexpr Fault kNoHost{ErrorKind::kMalformed, "An HTTP/1.1 request needs a Host field."};
constexpr Fault kTwoHosts{ErrorKind::kMalformed, "Host is given more than once."};
constexpr Fault kBadHost{ErrorKind::kMalformed,
                         "Host is not a name or address with an optional port."};
constexpr Fault kOtherHost{ErrorKind::kMalformed,
                           "Host and the URL in the request line name different servers."};
constexpr Fault kExpectation{ErrorKind::kExpectation,
                             "The only expectation that can be met is 100-continue."};

constexpr std::size_t kMaxMethod = 32;
constexpr std::size_t kVersionBytes = 8;  // "HTTP/1.1"

Method method_of(std::string_view text) {
  constexpr std::pair<std::string_view, Method> kMethods[] = {
      {"GET", Method::kGet},        {"POST", Method::kPost},     {"HEAD", Method::kHead},
      {"PUT", Method::kPut},        {"DELETE", Method::kDelete}, {"PATCH", Method::kPatch},
      {"OPTIONS", Method::kOptions}};
  for (const auto& [name, method] : kMethods) {
    if (text == name) return method;
  }
  return Method::kOther;
}

// The longest request line within the limits, without its CR LF.
std::size_t max_line(const HeadLimits& limits) {
  return kMaxMethod + 1 + limits.max_target + 1 + kVersionBytes;
}

// Decided by its beginning alone, so that it does not matter how much of the line has arrived.
const Fault* why_too_long(std::string_view line) {
  const bool has_method = line.substr(0, kMaxMethod + 1).find(' ') != std::string_view::npos;
  return has_method ? &kTargetTooLarge : &kLongMethod;
}

// Forgives empty lines before a request, as RFC 9112 2.2 asks, up to the limit. `at` is where the
// request starts; at the end of `bytes` it has not begun.
const Fault* skip_empty_lines(std::string_view bytes, std::size_t max_lines, std::size_t& at) {
  for (std::size_t lines = 0; at < bytes.size() && bytes[at] == '\r'; ++lines) {
    if (lines == max_lines) return &kEmptyLines;
    if (at + 1 == bytes.size()) {
      ++at;
      return nullptr;
    }
    if (bytes[at + 1] != '\n') return &kBadStart;
    at += 2;
  }
  if (at < bytes.size() && !is_char(bytes[at], kTokenChar)) return &kBadStart;
  return nullptr;
}

// "HTTP/", digits, a dot, digits: what any version of HTTP has ever called itself ("HTTP/1.32" is
// of the grammar of RFC 2616).
bool names_a_version(std::string_view text) {
  if (!text.starts_with("HTTP/")) return false;
  text.remove_prefix(5);
  const std::size_t dot = text.find('.');
  if (dot == std::string_view::npos) return false;
  const auto is_number = [](std::string_view digits) {
    return !digits.empty() && std::all_of(digits.begin(), digits.end(), is_digit);
  };
  return is_number(text.substr(0, dot)) && is_number(text.substr(dot + 1));
}

const Fault* read_version(std::string_view text, int& minor_version) {
  if (text == "HTTP/1.1") {
    minor_version = 1;
    return nullptr;
  }
  if (text == "HTTP/1.0") {
    minor_version = 0;
    return nullptr;
  }
  return names_a_version(text) ? &kVersion : &kBadLine;
}

const Fault* read_request_line(std::string_view line, std::size_t max_target, RequestHead& out,
                               AbsoluteForm& absolute) {
  const std::size_t method_end = skip_chars(line, 0, kTokenChar);
  if (method_end == line.size() || line[method_end] != ' ') return &kBadLine;
  if (method_end > kMaxMethod) return &kLongMethod;
  out.method_text = line.substr(0, method_end);
  out.method = method_of(out.method_text);
  if (out.method_text == "CONNECT") return &kConnect;

  const std::size_t target_at = method_end + 1;
  if (target_at == line.size()) return &kBadLine;
  const CharClass wanted = line[target_at] == '/' ? kTargetChar : kUrlChar;
  const std::size_t target_end = skip_chars(line, target_at, wanted);
  if (target_end - target_at > max_target) return &kTargetTooLarge;
  if (target_end == target_at || target_end == line.size()) return &kBadLine;
  if (line[target_end] != ' ') return &kBadLine;
  if (line == "PRI * HTTP/2.0") return &kPreface;
  if (const Fault* fault = read_version(line.substr(target_end + 1), out.minor_version)) {
    return fault;
  }
  return read_target(line.substr(target_at, target_end - target_at), out, absolute);
}

// The authority of the request: one, well-formed, and the same wherever it is said.
const Fault* read_host(const FieldFacts& facts, const AbsoluteForm& absolute, RequestHead& out) {
  if (facts.hosts > 1) return &kTwoHosts;
  if (facts.hosts == 0) {
    if (out.minor_version >= 1) return &kNoHost;
    out.authority = absolute.authority;
    return nullptr;
  }
  const std::optional<Authority> host = read_authority(facts.host);
  if (!host) return &kBadHost;
  out.authority = facts.host;
  if (absolute.authority.empty()) return nullptr;
  out.authority = absolute.authority;
  const std::optional<Authority> target = read_authority(absolute.authority);
  return same_authority(*host, *target, absolute.default_port) ? nullptr : &kOtherHost;
}

const Fault* read_request_fields(std::string_view section, const HeadLimits& limits,
                                 const AbsoluteForm& absolute, RequestHead& out) {
  FieldFacts facts;
  const Fault* fault =
      read_fields(section, limits.max_fields, Underscores::kDrop, out.fields, facts);
  if (fault != nullptr) return fault;
  fault = read_host(facts, absolute, out);
  if (fault != nullptr) return fault;
  BodyLength body;
  fault = read_body_length(facts, out.minor_version, body);
  if (fault != nullptr) return fault;
  if (facts.expects_other) return &kExpectation;
  out.framing = body.framing;
  out.content_length = body.content_length;
  out.keep_alive = wants_keep_alive(facts, out.minor_version);
  // HTTP/1.0 has no 1xx, and without a body there is nothing to wait for (RFC 9110 10.1.1).
  const bool has_body = body.framing == Framing::kChunked || body.content_length != 0;
  out.expect_continue = facts.expects_continue && out.minor_version >= 1 && has_body;
  return nullptr;
}

}  // namespace

Error RequestParser::refuse(const Fault& fault) {
  reset();
  return {fault.kind, Origin::kClient, Retry::kNever, message_of(fault, limits_)};
}

Result<std::optional<std::size_t>> RequestParser::more(std::string_view window) {
  if (window.size() == limits_.max_bytes) return refuse(kHeadTooLong);
  return std::optional<std::size_t>{};
}

// In order of the bytes, so that what arrived in pieces is judged as what arrived at once: empty
// lines, the request line, the end of the head, the fields.
Result<std::optional<std::size_t>> RequestParser::parse(std::string_view buffered,
                                                        RequestHead& out) {
  const std::string_view window = buffered.substr(0, limits_.max_bytes);
  if (scanned_ > window.size()) reset();

  std::size_t start = 0;
  if (const Fault* fault = skip_empty_lines(window, limits_.max_leading_crlf, start)) {
    return refuse(*fault);
  }
  AbsoluteForm absolute;
  const bool new_line = fields_at_ == 0;
  if (new_line) {
    const std::size_t longest = max_line(limits_);
    const Scan line =
        find_line_end(window.substr(0, start + longest + 2), scanned_ > start ? scanned_ : start);
    if (line.state != Scan::State::kFound && line.at > start + longest) {
      return refuse(*why_too_long(window.substr(start)));
    }
    if (line.state == Scan::State::kBad) return refuse(kControlInFirstLine);
    if (line.state == Scan::State::kMore) {
      scanned_ = line.at;
      return more(window);
    }
    fields_at_ = scanned_ = line.at;
  }
  const auto read_line = [&] {
    out.clear();
    return read_request_line(window.substr(start, fields_at_ - 2 - start), limits_.max_target, out,
                             absolute);
  };
  if (new_line) {
    if (const Fault* fault = read_line()) return refuse(*fault);
  }
  const Scan head = find_head_end(window, scanned_);
  if (head.state == Scan::State::kBad) return refuse(kBadLineEnd);
  if (head.state == Scan::State::kMore) {
    scanned_ = head.at;
    return more(window);
  }
  // The buffer may have moved since the request line was judged: its views are taken anew.
  if (!new_line) {
    if (const Fault* fault = read_line()) return refuse(*fault);
  }
  const std::string_view section = window.substr(fields_at_, head.at - fields_at_);
  if (const Fault* fault = read_request_fields(section, limits_, absolute, out)) {
    return refuse(*fault);
  }
  out.bytes = head.at;
  reset();
  return std::optional<std::size_t>(out.bytes);
}

}  // namespace drover::wire
