// Responses: as for requests.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "wire/http_chars.h"
#include "wire/http_fuzz_grammar.h"
#include "wire/http_fuzz_pieces.h"
#include "wire/http_test_reader.h"

namespace drover::wire {
namespace {

void pieces_make_no_difference(std::string_view input, Method request, HeadLimits limits) {
  const std::string whole = read_response(input, request, all_at_once, limits).text();
  require(read_response(input, request, RandomPieces(input), limits).text() == whole, "pieces");
  if (input.size() > 256) return;
  require(read_response(input, request, byte_by_byte, limits).text() == whole, "single bytes");
}

std::string written(const ResponseHead& head) {
  std::string out =
      "HTTP/1." + std::to_string(head.minor_version) + " " + std::to_string(head.status) + " \r\n";
  for (const Field& field : head.fields) {
    out += std::string(field.name) + ": " + std::string(field.value) + "\r\n";
  }
  return out + "\r\n";
}

void check_accepted(std::string_view input, Method request) {
  ResponseParser parser;
  ResponseHead head;
  auto parsed = parser.parse(input, request, head);
  if (!parsed || !*parsed) return;
  require(head.bytes == **parsed && head.bytes <= input.size(), "the size of the head");
  require(head.status >= 100 && head.status <= 599, "the status");
  for (const Field& field : head.fields) {
    require(!field.name.empty() && all_chars(field.name, kTokenChar), "a name is a token");
    require(all_chars(field.value, kValueChar), "a value has no controls");
  }
  const bool never_a_body = head.status < 200 || head.status == 204 || head.status == 304;
  require(!never_a_body || head.framing == Framing::kNone, "no body");
  require(!(head.framing == Framing::kUntilClose && head.keep_alive), "the close ends the body");

  const std::string again = written(head);
  ResponseHead second;
  auto reparsed = parser.parse(again, request, second);
  require(reparsed.ok() && *reparsed && **reparsed == again.size(), "it can be read again");
  head.bytes = second.bytes;
  require(describe(head) == describe(second), "it is read as the same");
}

}  // namespace
}  // namespace drover::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drover::wire;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  pieces_make_no_difference(input, Method::kPost, {});
  pieces_make_no_difference(input, Method::kPost, {.max_bytes = 60, .max_fields = 2});
  check_accepted(input, Method::kPost);
  check_accepted(input, Method::kHead);
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  return drover::wire::GrammarMutation(drover::wire::kHttpGrammar, seed)
      .apply(data, size, max_size);
}
