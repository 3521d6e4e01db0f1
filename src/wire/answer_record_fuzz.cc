// One record of an answer: pieces make no difference to what is read of it, and the filter that
// saves the reading never calls a record dull that says something.

#include "wire/answer_record.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "wire/http_fuzz_pieces.h"
#include "wire/json_fuzz_grammar.h"
#include "wire/record_filter.h"

namespace drover::wire {
namespace {

template <class Pieces>
RecordReader read(std::string_view record, Pieces pieces) {
  RecordReader reader;
  while (!record.empty()) {
    const std::string_view piece = record.substr(0, pieces(record.size()));
    record.remove_prefix(piece.size());
    reader.feed(piece);
  }
  return reader;
}

bool same(const Usage& a, const Usage& b) {
  return a.prompt_tokens == b.prompt_tokens && a.output_tokens == b.output_tokens &&
         a.total == b.total && a.load == b.load && a.prompt_eval == b.prompt_eval &&
         a.eval == b.eval;
}

bool same(const RecordFacts& a, const RecordFacts& b) {
  return a.done == b.done && a.done_false == b.done_false && a.has_error == b.has_error &&
         a.error == b.error && a.message == b.message && a.type == b.type &&
         same(a.native, b.native) && same(a.tokens, b.tokens);
}

void pieces_make_no_difference(std::string_view record, const RecordReader& whole) {
  const RecordReader pieces = read(record, RandomPieces(record));
  const RecordReader bytes = read(record, [](std::size_t) { return std::size_t{1}; });
  require(pieces.closed() == whole.closed() && bytes.closed() == whole.closed(), "where it ends");
  if (!whole.closed()) return;
  require(same(pieces.facts(), whole.facts()) && same(bytes.facts(), whole.facts()), "pieces");
}

void a_dull_record_says_nothing(std::string_view record, const RecordFacts& facts) {
  constexpr StreamShape kEvents[] = {StreamShape::kOpenAiSse, StreamShape::kResponses,
                                     StreamShape::kAnthropic};
  if (!may_matter(StreamShape::kNdjson, TypeField::kIgnored, record)) {
    require(!facts.done && !facts.has_error, "a dull line ends nothing");
  }
  for (const StreamShape shape : kEvents) {
    for (const TypeField type : {TypeField::kCounts, TypeField::kIgnored}) {
      if (may_matter(shape, type, record)) continue;
      require(!facts.has_error, "dull data is no error");
      require(same(facts.tokens, Usage{}), "dull data counts no tokens");
      if (type == TypeField::kIgnored) continue;
      require(!event_matters(shape, facts.type), "dull data names no event that matters");
    }
  }
}

void check_printable(std::string_view text) {
  const std::string shown = printable_error(text);
  require(shown.size() <= 200, "an error is short");
  for (const char c : shown) {
    require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f, "an error has no controls");
  }
}

}  // namespace
}  // namespace drover::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drover::wire;
  const std::string_view record(reinterpret_cast<const char*>(data), size);
  const RecordReader whole = read(record, [](std::size_t rest) { return rest; });
  pieces_make_no_difference(record, whole);
  if (whole.closed()) a_dull_record_says_nothing(record, whole.facts());
  check_printable(record);
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  return drover::wire::GrammarMutation(drover::wire::kJsonGrammar, seed)
      .apply(data, size, max_size);
}
