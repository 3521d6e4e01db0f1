#include <string>

#include "wire/http_chars.h"
#include "wire/http_fields.h"
#include "wire/http_head.h"

namespace drover::wire {
namespace {

constexpr Fault kBadStatusLine{ErrorKind::kUpstream,
                               "The status line is not 'HTTP/1.1 STATUS REASON'."};

// "HTTP/1.x NNN" and a reason that may be empty. The space before an empty reason is often left
// out, and nothing depends on it.
const Fault* read_status_line(std::string_view line, ResponseHead& out) {
  if (line.size() < 12 || !line.starts_with("HTTP/1.") || line[8] != ' ') return &kBadStatusLine;
  if (line[7] != '0' && line[7] != '1') return &kBadStatusLine;
  if (!is_digit(line[9]) || !is_digit(line[10]) || !is_digit(line[11])) return &kBadStatusLine;
  if (line.size() > 12 && line[12] != ' ') return &kBadStatusLine;
  if (!all_chars(line.substr(12), kValueChar)) return &kBadStatusLine;
  out.minor_version = line[7] - '0';
  out.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  return out.status >= 100 && out.status <= 599 ? nullptr : &kBadStatusLine;
}

// RFC 9112 6.3, in its order.
void settle_framing(Method request, const FieldFacts& facts, const BodyLength& body,
                    ResponseHead& out) {
  out.keep_alive = wants_keep_alive(facts, out.minor_version);
  const bool never_a_body = out.status < 200 || out.status == 204;
  if (never_a_body || out.status == 304 || request == Method::kHead) {
    out.framing = Framing::kNone;
    const bool declared = body.framing == Framing::kChunked || body.content_length != 0;
    // Whoever declares a body here may also send it, and it would be read as the next response.
    if (never_a_body && declared) out.keep_alive = false;
    return;
  }
  out.framing = body.framing;
  out.content_length = body.content_length;
  if (body.framing == Framing::kNone) {
    out.framing = Framing::kUntilClose;
    out.keep_alive = false;
  }
}

const Fault* read_response_fields(std::string_view section, const HeadLimits& limits,
                                  Method request, ResponseHead& out) {
  FieldFacts facts;
  const Fault* fault =
      read_fields(section, limits.max_fields, Underscores::kKeep, out.fields, facts);
  if (fault != nullptr) return fault;
  BodyLength body;
  fault = read_body_length(facts, out.minor_version, body);
  if (fault != nullptr) return fault;
  settle_framing(request, facts, body, out);
  return nullptr;
}

}  // namespace

Error ResponseParser::refuse(const Fault& fault) {
  reset();
  return {ErrorKind::kUpstream, Origin::kInstance, Retry::kSafe,
          "An instance sent a broken answer: " + message_of(fault, limits_)};
}

Result<std::optional<std::size_t>> ResponseParser::more(std::string_view window) {
  if (window.size() == limits_.max_bytes) return refuse(kHeadTooLong);
  return std::optional<std::size_t>{};
}

// The same order as in RequestParser::parse.
Result<std::optional<std::size_t>> ResponseParser::parse(std::string_view buffered, Method request,
                                                         ResponseHead& out) {
  const std::string_view window = buffered.substr(0, limits_.max_bytes);
  if (scanned_ > window.size()) reset();

  const bool new_line = fields_at_ == 0;
  if (new_line) {
    const Scan line = find_line_end(window, scanned_);
    if (line.state == Scan::State::kBad) return refuse(kControlInFirstLine);
    if (line.state == Scan::State::kMore) {
      scanned_ = line.at;
      return more(window);
    }
    fields_at_ = scanned_ = line.at;
    out.clear();
    const Fault* fault = read_status_line(window.substr(0, fields_at_ - 2), out);
    if (fault != nullptr) return refuse(*fault);
  }
  const Scan head = find_head_end(window, scanned_);
  if (head.state == Scan::State::kBad) return refuse(kBadLineEnd);
  if (head.state == Scan::State::kMore) {
    scanned_ = head.at;
    return more(window);
  }
  if (!new_line) {
    out.clear();
    const Fault* fault = read_status_line(window.substr(0, fields_at_ - 2), out);
    if (fault != nullptr) return refuse(*fault);
  }
  const std::string_view section = window.substr(fields_at_, head.at - fields_at_);
  if (const Fault* fault = read_response_fields(section, limits_, request, out)) {
    return refuse(*fault);
  }
  out.bytes = head.at;
  reset();
  return std::optional<std::size_t>(out.bytes);
}

}  // namespace drover::wire
