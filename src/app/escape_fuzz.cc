// Foreign text in our log and on a terminal: one line, no control character, UTF-8, and as JSON
// readable by another parser.

#include "app/escape.h"

#include <simdjson.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

bool is_line(const std::string& text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  }
  return simdjson::validate_utf8(text.data(), text.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  require(is_line(drover::app::text_words(text)));
  require(is_line(drover::app::text_value(text)));
  const std::string quoted = drover::app::json_quoted(text);
  require(is_line(quoted));
  simdjson::dom::parser parser;
  std::string_view read;
  require(!parser.parse(quoted).get(read));
  return 0;
}
