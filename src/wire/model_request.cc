#include "wire/model_request.h"

#include <optional>
#include <utility>

#include "wire/json_scanner.h"
#include "wire/keep_alive.h"
#include "wire/request_keys.h"

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

}  // namespace

Result<ModelRequest> read_model_request(std::string_view body) {
  JsonScanner scanner({.report_depth = 1, .max_text = kMaxName});
  ModelRequest request;
  std::string name;
  std::string key;
  Event event = Event::kMore;
  while ((event = scanner.next(body)) != Event::kMore && event != Event::kBad) {
    if (event == Event::kKey) {
      fold_into(key, scanner.text());
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
    std::optional<Duration> kept;
    if (event == Event::kNumber) kept = keep_alive_of_number(scanner.text());
    if (event == Event::kString) kept = keep_alive_of_text(scanner.text());
    zero = kept == Duration{} && !scanner.text_cut();
  }
  return zero && scanner.complete();
}

}  // namespace drover::wire
