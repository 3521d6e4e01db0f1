#include "wire/model_request.h"

#include <algorithm>
#include <utility>

#include "wire/json_scanner.h"

namespace drover::wire {
namespace {

using Event = JsonScanner::Event;

constexpr std::size_t kMaxName = 1024;  // a name has at most 350 bytes in Ollama

Error not_text(std::string_view key) {
  return {ErrorKind::kMalformed, Origin::kClient, Retry::kNever,
          '"' + std::string(key) + "\" must be a string of at most 1024 bytes"};
}

std::string* text_of(ModelRequest& request, std::string& name, std::string_view key) {
  if (key == "model") return &request.model;
  if (key == "name") return &name;
  if (key == "from") return &request.from;
  if (key == "source") return &request.source;
  if (key == "destination") return &request.destination;
  return nullptr;
}

bool is_value(Event event) {
  return event == Event::kString || event == Event::kNumber || event == Event::kTrue ||
         event == Event::kFalse || event == Event::kNull || event == Event::kBeginObject ||
         event == Event::kBeginArray;
}

// Go's duration: numbers with units, all of them zero.
bool is_zero_duration(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  const bool has_digit = text.find('0') != std::string_view::npos;
  return has_digit && std::all_of(text.begin(), text.end(), [](char c) {
           return c == '0' || c == '.' || c == 'h' || c == 'm' || c == 's' || c == 'u' || c == 'n';
         });
}

bool is_zero_number(std::string_view text) {
  const std::string_view mantissa = text.substr(0, text.find_first_of("eE"));
  return mantissa.find_first_of("123456789") == std::string_view::npos;
}

}  // namespace

Result<ModelRequest> read_model_request(std::string_view body) {
  JsonScanner scanner({.report_depth = 1, .max_text = kMaxName});
  ModelRequest request;
  std::string name;
  std::string key;
  Event event = Event::kMore;
  while ((event = scanner.next(body)) != Event::kMore && event != Event::kBad) {
    if (event == Event::kKey) {
      key = scanner.text();
      continue;
    }
    if (scanner.depth() != 1 || !is_value(event)) continue;
    if (std::string* const into = text_of(request, name, key)) {
      const bool fits = event == Event::kString && !scanner.text_cut();
      if (!fits && event != Event::kNull) return not_text(key);
      *into = fits ? scanner.text() : std::string_view();
    }
    if (key == "stream") request.stream = event != Event::kFalse;
    if (key == "insecure") request.insecure = event == Event::kTrue;
  }
  if (request.model.empty()) request.model = std::move(name);
  return request;
}

void ModelValue::feed(std::string_view piece) {
  Event event = Event::kMore;
  while ((event = scanner_.next(piece)) != Event::kMore && event != Event::kBad) {
    if (event == Event::kKey) key_ = scanner_.text();
    if (event != Event::kString || scanner_.depth() != 1 || scanner_.text().empty()) continue;
    // The token begins behind its opening quote, and the scanner has read its closing one.
    const Place found{scanner_.token_offset() - 1, scanner_.offset() - scanner_.token_offset() + 1};
    if (key_ == "model") model_ = found;
    if (key_ == "name") name_ = found;
  }
}

bool asks_to_unload(std::string_view body) {
  JsonScanner scanner({.report_depth = 2, .max_text = 64});
  std::string key;
  bool zero = false;
  Event event = Event::kMore;
  while ((event = scanner.next(body)) != Event::kMore && event != Event::kBad) {
    if (scanner.depth() == 2) {
      if (key == "messages" && is_value(event)) return false;
      continue;
    }
    if (event == Event::kKey) key = scanner.text();
    if (scanner.depth() != 1 || !is_value(event)) continue;
    if (key == "prompt" && event == Event::kString && !scanner.text().empty()) return false;
    if (key != "keep_alive") continue;
    zero = (event == Event::kNumber && is_zero_number(scanner.text())) ||
           (event == Event::kString && is_zero_duration(scanner.text()));
  }
  return zero && scanner.complete();
}

}  // namespace drover::wire
