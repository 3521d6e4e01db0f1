#include "wire/multipart.h"

#include <algorithm>

#include "wire/http_chars.h"
#include "wire/http_head.h"

namespace drover::wire {
namespace {

constexpr std::size_t kMaxBoundary = 70;       // RFC 2046 5.1.1
constexpr std::size_t kMaxHeaders = 8 * 1024;  // of one part
constexpr std::size_t kMaxModel = 512;
constexpr std::uint32_t kMaxParts = 64;

Error malformed(std::string message) {
  return {ErrorKind::kMalformed, Origin::kClient, Retry::kNever, std::move(message)};
}

// Whether what ends with `terminator` is longer than `most`, however it was cut into pieces: of one
// that has not ended, all of the terminator but its last byte may be here already.
bool over(std::size_t most, std::size_t end, std::string_view input, std::string_view terminator) {
  if (end != std::string_view::npos) return end > most;
  return input.size() > most + terminator.size() - 1;
}

constexpr std::string_view kSpace = " \t";

std::string_view trimmed(std::string_view text) {
  const std::size_t from = text.find_first_not_of(kSpace);
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(kSpace) - from + 1);
}

// The next `; name=value` of a field's value. Quotes are taken off; what is escaped stays so.
struct Parameter {
  std::string_view name;
  std::string_view value;
};

// Takes one off the front. False: `rest` is no list of parameters.
bool take_parameter(std::string_view& rest, Parameter& out) {
  const std::size_t equals = rest.find('=');
  if (rest.front() != ';' || equals == std::string_view::npos) return false;
  out.name = trimmed(rest.substr(1, equals - 1));
  rest = trimmed(rest.substr(equals + 1));
  if (out.name.empty() || !all_chars(out.name, kTokenChar)) return false;
  const bool quoted = rest.starts_with('"');
  std::size_t end = quoted ? 1 : 0;
  while (end < rest.size() && (quoted ? rest[end] != '"' : rest[end] != ';')) {
    end += quoted && rest[end] == '\\' ? 2 : 1;
  }
  if (end > rest.size() || (quoted && end == rest.size())) return false;
  out.value = quoted ? rest.substr(1, end - 1) : trimmed(rest.substr(0, end));
  rest = trimmed(rest.substr(quoted ? end + 1 : end));
  return quoted || (!out.value.empty() && all_chars(out.value, kTokenChar));
}

// What the headers of one part say.
struct PartHeaders {
  bool disposition = false;
  bool file = false;
  bool encoded = false;  // quoted-printable, which Go's reader decodes unasked
  std::string_view name;
};

// False: another reader might see another name in it.
bool read_disposition(std::string_view value, PartHeaders& out) {
  if (out.disposition) return false;
  out.disposition = true;
  const std::size_t kind = std::min(value.find(';'), value.size());
  // A part of another kind has no name to Go.
  if (!field_is(trimmed(value.substr(0, kind)), "form-data")) return false;
  std::string_view rest = value.substr(kind);
  bool named = false;
  while (!rest.empty() && rest != ";") {
    Parameter each;
    if (!take_parameter(rest, each)) return false;
    if (field_is(each.name, "filename") || field_is(each.name, "filename*")) out.file = true;
    if (field_is(each.name.substr(0, 5), "name*")) return false;
    if (!field_is(each.name, "name")) continue;
    if (named || each.value.find('\\') != std::string_view::npos) return false;
    named = true;
    out.name = each.value;
  }
  return true;
}

bool read_part_headers(std::string_view block, PartHeaders& out) {
  while (!block.empty()) {
    const std::size_t end = std::min(block.find("\r\n"), block.size());
    const std::string_view line = block.substr(0, end);
    block.remove_prefix(std::min(end + 2, block.size()));
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0 ||
        !all_chars(line.substr(0, colon), kTokenChar) ||
        line.find_first_of("\r\n") != std::string_view::npos) {
      return false;
    }
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (field_is(name, "content-disposition") && !read_disposition(value, out)) return false;
    const bool encoding = field_is(name, "content-transfer-encoding");
    if (encoding && field_is(value, "quoted-printable")) out.encoded = true;
  }
  return true;
}

}  // namespace

Result<std::string> form_boundary(std::string_view content_type) {
  const std::size_t end = std::min(content_type.find(';'), content_type.size());
  if (!field_is(trimmed(content_type.substr(0, end)), "multipart/form-data")) {
    return malformed("this route takes a form: send it as multipart/form-data");
  }
  std::string boundary;
  std::string_view rest = content_type.substr(end);
  while (!rest.empty() && rest != ";") {
    Parameter each;
    if (!take_parameter(rest, each)) return malformed("the form's Content-Type is not valid");
    if (!field_is(each.name, "boundary")) continue;
    if (!boundary.empty()) return malformed("the form's Content-Type names two boundaries");
    boundary = each.value;
  }
  const bool odd = boundary.find_first_of("\\\"") != std::string::npos || boundary.ends_with(' ');
  if (boundary.empty() || boundary.size() > kMaxBoundary || odd) {
    return malformed("the form's Content-Type names no boundary of 1 to 70 plain characters");
  }
  return boundary;
}

Result<void> MultipartModel::feed(std::string_view piece) {
  if (state_ == State::kEpilogue) return {};
  input_.append(piece);
  for (;;) {
    Result<std::size_t> used = step();
    if (!used) return std::move(used).error();
    if (*used == 0) return {};
    input_.erase(0, *used);
    if (state_ == State::kEpilogue) std::string().swap(input_);
  }
}

// Bytes of `input_` dealt with; 0: more are needed.
Result<std::size_t> MultipartModel::step() {
  switch (state_) {
    case State::kFirstLine:
      return first_line();
    case State::kAfter:
      return after_boundary();
    case State::kHeaders:
      return headers();
    case State::kContent:
      return content();
    case State::kEpilogue:
      break;
  }
  return std::size_t{0};
}

Result<std::size_t> MultipartModel::first_line() {
  const std::size_t end = input_.find("\r\n");
  const bool too_long = over(kMaxBoundary + 2, end, input_, "\r\n");
  const bool wrong_start = input_.size() >= 2 && !input_.starts_with("--");
  if (too_long || wrong_start) return malformed("the form does not begin with its boundary line");
  if (end == std::string::npos) return std::size_t{0};
  if (end < 3) return malformed("the form's boundary is empty");
  delimiter_ = "\r\n" + input_.substr(0, end);
  state_ = State::kAfter;
  return end;
}

Result<std::size_t> MultipartModel::after_boundary() {
  if (input_.size() < 2) return std::size_t{0};
  if (input_.starts_with("--")) {
    state_ = State::kEpilogue;
    return std::size_t{2};
  }
  if (!input_.starts_with("\r\n")) return malformed("the form has a broken boundary line");
  if (++parts_ > kMaxParts) return malformed("the form has more than 64 parts");
  state_ = State::kHeaders;
  return std::size_t{2};
}

Result<std::size_t> MultipartModel::headers() {
  const std::size_t end = input_.find("\r\n\r\n");
  if (over(kMaxHeaders, end, input_, "\r\n\r\n")) {
    return malformed("a part of the form has headers over 8 KiB");
  }
  if (end == std::string::npos) return std::size_t{0};
  PartHeaders part;
  if (!read_part_headers(std::string_view(input_).substr(0, end), part)) {
    return malformed("a part of the form has headers that can be read two ways");
  }
  in_model_ = part.name == "model";
  if (in_model_ && (part.file || part.encoded)) {
    return malformed("the form's model must be plain text, neither a file nor encoded");
  }
  if (in_model_ && found_) return malformed("the form names its model twice");
  found_ = found_ || in_model_;
  state_ = State::kContent;
  // The empty line's own CRLF may be the start of the next delimiter (an empty part).
  return end + 2;
}

Result<std::size_t> MultipartModel::content() {
  // The first two bytes are the end of the headers, not content.
  const std::size_t at = input_.find(delimiter_);
  const bool ends = at != std::string::npos;
  // Keep back what could be the start of a delimiter.
  const std::size_t keep = delimiter_.size() - 1;
  const std::size_t safe = ends ? at : (input_.size() > keep ? input_.size() - keep : 0);
  if (in_model_) model_.append(input_, 0, safe);
  if (model_.size() > kMaxModel + 2) return malformed("the form's model is over 512 bytes");
  if (!ends) return safe;
  state_ = State::kAfter;
  return at + delimiter_.size();
}

Result<std::string> MultipartModel::finish() {
  if (state_ != State::kEpilogue) return malformed("the form is cut short");
  if (!found_ || model_.size() < 2) return malformed("model is required");
  return model_.substr(2);
}

}  // namespace drover::wire
