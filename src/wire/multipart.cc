#include "wire/multipart.h"

#include <algorithm>
#include <optional>

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

std::string_view trimmed(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// One parameter off the front of "; a=b; c=\"d\"". Nullopt: it is not written like one.
struct Parameter {
  std::string_view name;
  std::string_view value;  // without the quotes
  bool escaped = false;    // a backslash in it: readers differ over what it stands for
};
std::optional<Parameter> take_parameter(std::string_view& rest) {
  const std::size_t equals = rest.find('=');
  if (!rest.starts_with(';') || equals == std::string_view::npos) return std::nullopt;
  Parameter out{.name = trimmed(rest.substr(1, equals - 1)), .value = {}};
  if (out.name.empty() || !all_chars(out.name, kTokenChar)) return std::nullopt;
  rest = trimmed(rest.substr(equals + 1));
  if (!rest.starts_with('"')) {
    const std::size_t end = std::min(rest.find(';'), rest.size());
    out.value = trimmed(rest.substr(0, end));
    rest.remove_prefix(end);
    return out;
  }
  std::size_t end = 1;
  for (; end < rest.size() && rest[end] != '"'; ++end) {
    if (rest[end] != '\\') continue;
    out.escaped = true;
    ++end;
  }
  if (end >= rest.size()) return std::nullopt;
  out.value = rest.substr(1, end - 1);
  rest = trimmed(rest.substr(end + 1));
  return out;
}

enum class PartName : std::uint8_t { kOther, kModel, kUnclear };

// Which part a Content-Disposition value names. Unclear is what two readers could read two ways:
// a name given twice, encoded ("name*=") or escaped, and what is no list of parameters.
PartName part_name(std::string_view value) {
  std::string_view rest = value.substr(std::min(value.find(';'), value.size()));
  std::optional<std::string_view> name;
  while (!rest.empty() && rest != ";") {
    const std::optional<Parameter> parameter = take_parameter(rest);
    if (!parameter) return PartName::kUnclear;
    if (field_is(parameter->name.substr(0, 5), "name*")) return PartName::kUnclear;
    if (!field_is(parameter->name, "name")) continue;
    if (name || parameter->escaped) return PartName::kUnclear;
    name = parameter->value;
  }
  return name == "model" ? PartName::kModel : PartName::kOther;
}

// The name of the part that these lines begin. Lines are as strict as those of a head: a folded one
// or a bare LF would show another reader a field that is not seen here.
PartName name_of_part(std::string_view block) {
  std::optional<PartName> name;
  while (!block.empty()) {
    const std::size_t end = std::min(block.find("\r\n"), block.size());
    const std::string_view line = block.substr(0, end);
    const std::size_t colon = skip_chars(line, 0, kTokenChar);
    if (colon == 0 || colon == line.size() || line[colon] != ':') return PartName::kUnclear;
    if (!all_chars(line, kValueChar)) return PartName::kUnclear;
    if (field_is(line.substr(0, colon), "content-disposition")) {
      if (name) return PartName::kUnclear;
      name = part_name(trimmed(line.substr(colon + 1)));
    }
    block.remove_prefix(std::min(end + 2, block.size()));
  }
  return name.value_or(PartName::kOther);
}

}  // namespace

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
  const bool too_long = std::min(end, input_.size()) > kMaxBoundary + 2;
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
  if (std::min(end, input_.size()) > kMaxHeaders) {
    return malformed("a part of the form has headers over 8 KiB");
  }
  if (end == std::string::npos) return std::size_t{0};
  const PartName name = name_of_part(std::string_view(input_).substr(0, end));
  if (name == PartName::kUnclear) {
    return malformed("a part of the form has headers that can be read two ways");
  }
  in_model_ = name == PartName::kModel;
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
