// Chunked bodies: pieces make no difference, no more comes out than went in, and what came out,
// chunked anew, decodes to the same.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "wire/http_body.h"
#include "wire/http_fuzz_grammar.h"
#include "wire/http_fuzz_pieces.h"
#include "wire/http_test_reader.h"

namespace drover::wire {
namespace {

template <class Pieces>
ReadMessage decode(Framing framing, std::uint64_t length, std::string_view input, Pieces pieces) {
  ReadMessage message;
  BodyDecoder decoder(framing, length, Origin::kClient);
  read_body(decoder, input, pieces, message);
  const bool complete = decoder.done();
  const bool ended = decoder.end().ok();
  require(framing == Framing::kUntilClose ? ended : ended == complete, "the end is told apart");
  return message;
}

void pieces_make_no_difference(Framing framing, std::uint64_t length, std::string_view input) {
  const ReadMessage whole = decode(framing, length, input, all_at_once);
  const std::string text = whole.text();
  require(decode(framing, length, input, RandomPieces(input)).text() == text, "pieces");
  require(decode(framing, length, input, byte_by_byte).text() == text, "single bytes");
  require(whole.body.size() <= input.size(), "nothing comes from nowhere");
}

void round_trip(std::string_view input) {
  const ReadMessage first = decode(Framing::kChunked, 0, input, all_at_once);
  std::string again;
  for (std::string_view rest = first.body; !rest.empty();) {
    const std::string_view data = rest.substr(0, 7);
    again += ChunkHead(data.size()).view();
    again += std::string(data) + "\r\n";
    rest.remove_prefix(data.size());
  }
  again += kLastChunk;
  const ReadMessage second = decode(Framing::kChunked, 0, again, all_at_once);
  require(second.outcome == ReadMessage::Outcome::kComplete, "our own chunks are complete");
  require(second.consumed == again.size() && second.body == first.body, "and hold the same");
}

}  // namespace
}  // namespace drover::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drover::wire;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  pieces_make_no_difference(Framing::kChunked, 0, input);
  pieces_make_no_difference(Framing::kLength, size / 2, input);
  pieces_make_no_difference(Framing::kLength, size + 1, input);
  pieces_make_no_difference(Framing::kUntilClose, 0, input);
  round_trip(input);
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  return drover::wire::GrammarMutation(drover::wire::kChunksGrammar, seed)
      .apply(data, size, max_size);
}
