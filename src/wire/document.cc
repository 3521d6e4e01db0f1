#include "wire/document.h"

#include <simdjson.h>

#include <array>
#include <cstring>
#include <optional>

#include "wire/answer_record.h"

namespace drover::wire {
namespace {

namespace dom = simdjson::dom;

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

bool is_unfinished(const dom::object& document) {
  std::string_view status;
  if (document["status"].get(status) == simdjson::SUCCESS) return status == "in_progress";
  dom::element stop;
  if (document["stop_reason"].get(stop) == simdjson::SUCCESS) return stop.is_null();
  dom::array list;
  if (document["choices"].get(list) != simdjson::SUCCESS) return false;
  for (const dom::element choice : list) {
    dom::element finish;
    if (choice["finish_reason"].get(finish) == simdjson::SUCCESS && finish.is_null()) return true;
  }
  return false;
}

// Most documents have none of these words. (The native "done_reason" is none of them; the ends of
// the words are looked for, because they begin with rare letters.)
bool may_be_unfinished(std::string_view body) {
  return body.find("h_reason\"") != std::string_view::npos ||
         body.find("p_reason\"") != std::string_view::npos ||
         body.find("_progress\"") != std::string_view::npos;
}

DocumentFacts facts_of(const RecordFacts& record, bool unfinished) {
  DocumentFacts out;
  out.valid = true;
  out.truncated = record.done_false || unfinished;
  out.has_error = record.has_error;
  if (record.has_error) out.error = error_text(record);
  out.usage = record.native;
  merge(out.usage, record.tokens);
  return out;
}

// What the two ways of reading might see differently goes the long way: a key may be spelled with
// escapes, and newer versions of simdjson skip a byte order mark.
bool is_plain(std::string_view body) {
  return body.find("\\u") == std::string_view::npos && !body.starts_with('\xEF');
}

}  // namespace

struct DocumentReader::State {
  // None: it is too long, no object, or not JSON in simdjson's eyes, which do not see numbers that
  // are larger than 64 bits.
  std::optional<DocumentFacts> read_short(std::string_view body) {
    if (!ready || body.size() > kShort || !is_plain(body)) return std::nullopt;
    std::memcpy(padded.data(), body.data(), body.size());
    dom::object document;
    if (parser.parse(padded.data(), body.size(), false).get(document) != simdjson::SUCCESS) {
      return std::nullopt;
    }
    return facts_of(read_record(document), may_be_unfinished(body) && is_unfinished(document));
  }

  dom::parser parser;
  // Out of memory: then the other way reads everything.
  const bool ready = parser.allocate(kShort, JsonScanner::Options().max_depth) == simdjson::SUCCESS;
  std::array<char, kShort + simdjson::SIMDJSON_PADDING> padded;
};

DocumentReader::DocumentReader() : state_(std::make_unique<State>()) {}
DocumentReader::~DocumentReader() = default;

DocumentFacts DocumentReader::read(std::string_view body) {
  if (std::optional<DocumentFacts> facts = state_->read_short(body)) return *std::move(facts);
  RecordReader record;
  const std::string_view rest = record.feed(body);
  if (!record.closed() || !is_blank(rest)) return {};
  if (!may_be_unfinished(body)) return facts_of(record.facts(), false);
  // Its own parser, whose memory goes with it: this one is as large as the document.
  dom::parser parser;
  dom::object document;
  const simdjson::padded_string padded(body);
  const bool read = parser.parse(padded).get(document) == simdjson::SUCCESS;
  return facts_of(record.facts(), read && is_unfinished(document));
}

}  // namespace drover::wire
