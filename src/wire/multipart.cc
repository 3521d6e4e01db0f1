#include "wire/multipart.h"

#include <algorithm>

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

// The value of the `name` parameter of a Content-Disposition line, quoted or not.
std::string_view part_name(std::string_view value) {
  constexpr std::string_view kKey = "name=";
  for (std::size_t at = value.find(kKey); at != std::string_view::npos;
       at = value.find(kKey, at + 1)) {
    // "filename=" is another parameter.
    if (at > 0 && value[at - 1] != ' ' && value[at - 1] != ';' && value[at - 1] != '\t') continue;
    std::string_view rest = value.substr(at + kKey.size());
    if (rest.starts_with('"')) return rest.substr(1, rest.find('"', 1) - 1);
    return rest.substr(0, rest.find_first_of("; \t"));
  }
  return {};
}

bool names_model(std::string_view block) {
  while (!block.empty()) {
    const std::size_t end = block.find("\r\n");
    const std::string_view line = block.substr(0, end);
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos && field_is(line.substr(0, colon), "content-disposition")) {
      return part_name(line.substr(colon + 1)) == "model";
    }
    if (end == std::string_view::npos) break;
    block.remove_prefix(end + 2);
  }
  return false;
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
  in_model_ = names_model(std::string_view(input_).substr(0, end));
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
