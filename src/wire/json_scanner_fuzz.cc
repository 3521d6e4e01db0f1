// The grammar itself: the events are the document. Written out again as JSON they say the same to
// another parser, and the two agree on what is JSON at all, in both directions.

#include "wire/json_scanner.h"

#include <simdjson.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "wire/dialect.h"
#include "wire/http_fuzz_pieces.h"
#include "wire/json_fuzz_grammar.h"
#include "wire/json_fuzz_judge.h"

namespace drover::wire {
namespace {

using Event = JsonScanner::Event;

struct Scanned {
  std::string text;  // the document, written anew
  bool complete = false;
  bool halves = false;  // half a surrogate pair, which Go reads and simdjson refuses
  bool cut = false;     // a number of so many digits that its text is not all of it
  std::string what;
  std::uint64_t offset = 0;
  friend bool operator==(const Scanned&, const Scanned&) = default;
};

bool begins(Event event) { return event == Event::kBeginObject || event == Event::kBeginArray; }
bool ends(Event event) { return event == Event::kEndObject || event == Event::kEndArray; }

std::string spelled(Event event, const JsonScanner& scanner) {
  switch (event) {
    case Event::kKey:
      return json_quote(scanner.text()) + ':';
    case Event::kString:
      return json_quote(scanner.text());
    case Event::kNumber:
      return std::string(scanner.text());
    case Event::kTrue:
      return "true";
    case Event::kFalse:
      return "false";
    case Event::kNull:
      return "null";
    case Event::kBeginObject:
      return "{";
    case Event::kEndObject:
      return "}";
    case Event::kBeginArray:
      return "[";
    default:
      return "]";
  }
}

// Puts the commas where they belong.
void append(std::string& out, Event event, const std::string& spelling) {
  const bool first = out.empty() || out.back() == '{' || out.back() == '[' || out.back() == ':';
  if (!first && !ends(event)) out += ',';
  out += spelling;
}

template <class Pieces>
Scanned scan(std::string_view input, Pieces pieces) {
  constexpr std::uint32_t kDeep = JsonScanner::kDepthCeiling;
  JsonScanner scanner({.max_depth = kDeep, .report_depth = kDeep, .max_text = SIZE_MAX / 2});
  Scanned out;
  std::uint32_t depth = 0;
  while (!input.empty()) {
    std::string_view piece = input.substr(0, pieces(input.size()));
    input.remove_prefix(piece.size());
    for (Event event = scanner.next(piece); event != Event::kMore; event = scanner.next(piece)) {
      if (event == Event::kBad) {
        out.what = scanner.what();
        out.offset = scanner.offset();
        return out;
      }
      if (ends(event)) --depth;
      require(scanner.depth() == depth, "the depth is that of the brackets");
      if (begins(event)) ++depth;
      out.halves = out.halves || scanner.text_replaced();
      out.cut = out.cut || (event == Event::kNumber && scanner.text_cut());
      append(out.text, event, spelled(event, scanner));
    }
    require(piece.empty(), "a piece is used up");
  }
  out.complete = scanner.complete();
  require(!out.complete || depth == 0, "a complete document has closed its brackets");
  return out;
}

void compare_with_simdjson(const std::string& input, const Scanned& scanned) {
  if (input.starts_with("\xef\xbb\xbf")) return;  // some versions skip a byte order mark
  simdjson::dom::parser parser;
  simdjson::dom::element document;
  const simdjson::error_code error = parser.parse(input).get(document);
  const bool halves = error == simdjson::STRING_ERROR;
  if (!halves && is_known_difference(error, input)) return;
  if (error) {
    require(!scanned.complete || (halves && scanned.halves),
            "what is accepted is JSON elsewhere too");
    return;
  }
  if (!scanned.complete) {
    const bool depth = scanned.what.find("deep") != std::string::npos;
    const bool number = scanned.what.find("number") != std::string::npos;
    require(depth || number, "what is JSON elsewhere is accepted");
    return;
  }
  // A number that is the whole document ends where the input does: there is no event for it.
  if (scanned.halves || scanned.cut || scanned.text.empty()) return;
  const std::string before = simdjson::minify(document);
  require(!parser.parse(scanned.text).get(document), "the events are a document");
  require(before == simdjson::minify(document), "the events are that document");
}

}  // namespace
}  // namespace drover::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drover::wire;
  const std::string input(reinterpret_cast<const char*>(data), size);
  const auto whole = [](std::size_t rest) { return rest; };
  const Scanned scanned = scan(input, whole);
  require(scan(input, RandomPieces(input)) == scanned, "pieces");
  require(scan(input, [](std::size_t) { return std::size_t{1}; }) == scanned, "single bytes");
  compare_with_simdjson(input, scanned);
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  return drover::wire::GrammarMutation(drover::wire::kJsonGrammar, seed)
      .apply(data, size, max_size);
}
