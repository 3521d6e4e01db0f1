// Any bytes as the text of an error, which may come from an instance: what is made of it is JSON
// for another parser, says that text, and is an error (and never an end) to our own watch.

#include "wire/dialect.h"

#include <simdjson.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "wire/http_fuzz_pieces.h"
#include "wire/stream_watch.h"

namespace drover::wire {
namespace {

std::string text_at(const std::string& json, const char* pointer) {
  simdjson::dom::parser parser;
  simdjson::dom::element document;
  require(!parser.parse(json).get(document), "it is JSON");
  std::string_view text;
  require(!document.at_pointer(pointer).get(text), "the text is where clients look for it");
  return std::string(text);
}

// The text itself; what is not UTF-8 stands replaced, and then all spellings agree on how.
void check_quoted(std::string_view text) {
  const std::string quoted = json_quote(text);
  simdjson::dom::parser parser;
  std::string_view read;
  require(!parser.parse(quoted).get(read), "a quoted text is JSON");
  require(simdjson::validate_utf8(quoted.data(), quoted.size()), "a quoted text is UTF-8");
  for (const char c : quoted) require(static_cast<unsigned char>(c) >= 0x20, "without controls");
  if (simdjson::validate_utf8(text.data(), text.size())) require(read == text, "the same text");
}

void check_bodies(std::string_view text, std::string_view id, int status) {
  const std::string plain = text_at(json_quote(text), "");
  require(text_at(error_body(Dialect::kNative, status, text, id), "/error") == plain, "native");
  require(text_at(error_body(Dialect::kOpenAi, status, text, id), "/error/message") == plain,
          "OpenAI");
  const std::string anthropic = error_body(Dialect::kAnthropic, status, text, id);
  require(text_at(anthropic, "/error/message") == plain, "Anthropic");
  if (id.empty()) return;  // and is left out
  require(text_at(anthropic, "/request_id") == text_at(json_quote(id), ""), "its id");
}

void check_records(std::string_view text, std::string_view id) {
  for (const StreamShape shape : {StreamShape::kNdjson, StreamShape::kOpenAiSse,
                                  StreamShape::kResponses, StreamShape::kAnthropic}) {
    const std::string record = error_record(shape, text, id);
    StreamWatch watch(shape);
    watch.feed(record);
    require(watch.failed() && !watch.terminal(), "an error and no end");
    require(watch.records() == 1 && watch.at_boundary(), "one whole record");
    // Behind a record that was cut off it is still an error of its own.
    const std::size_t lines = shape == StreamShape::kNdjson ? 1 : 2;
    require(record.ends_with(std::string(lines, '\n')), "it ends as records of its shape do");
  }
}

}  // namespace
}  // namespace drover::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drover::wire;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string_view id = text.substr(size - size / 4);
  constexpr int kStatuses[] = {400, 404, 429, 500, 502, 503};
  check_quoted(text);
  check_bodies(text, id, kStatuses[size % 6]);
  check_records(text, id);
  return 0;
}
