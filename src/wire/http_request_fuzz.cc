// Requests: pieces make no difference; what is accepted is sound, and written out again it is read
// as the same request.
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

void pieces_make_no_difference(std::string_view input, HeadLimits limits) {
  const std::string whole = read_request(input, all_at_once, limits).text();
  require(read_request(input, RandomPieces(input), limits).text() == whole, "pieces");
  if (input.size() > 256) return;
  require(read_request(input, byte_by_byte, limits).text() == whole, "single bytes");
}

std::string written(const RequestHead& head) {
  std::string out = std::string(head.method_text) + " " + std::string(head.target) + " HTTP/1." +
                    std::to_string(head.minor_version) + "\r\n";
  for (const Field& field : head.fields) {
    out += std::string(field.name) + ": " + std::string(field.value) + "\r\n";
  }
  return out + "\r\n";
}

// Without the authority, which an absolute form may spell otherwise than Host does.
std::string gist(const RequestHead& head) {
  RequestHead copy = head;
  copy.authority = {};
  copy.bytes = 0;
  return describe(copy);
}

void check_fields(const RequestHead& head) {
  std::size_t hosts = 0;
  for (const Field& field : head.fields) {
    require(!field.name.empty() && all_chars(field.name, kTokenChar), "a name is a token");
    require(field.name.find('_') == std::string_view::npos, "no name has an underscore");
    require(all_chars(field.value, kValueChar), "a value has no controls");
    const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
    const bool padded =
        !field.value.empty() && (is_space(field.value.front()) || is_space(field.value.back()));
    require(!padded, "a value is trimmed");
    hosts += field_is(field.name, "host") ? 1 : 0;
  }
  require(hosts == 1 || (hosts == 0 && head.minor_version == 0), "one Host");
  const bool both = head.find("content-length") && head.find("transfer-encoding");
  require(!both, "one framing");
}

void check_path(std::string_view path) {
  auto canonical = canonical_path(path);
  if (!canonical) return;
  require(*canonical == path, "a canonical path is the path");
  auto decoded = percent_decode(path);
  require(decoded.ok(), "a canonical path can be decoded");
  std::size_t slashes = 0;
  for (const char c : path) slashes += c == '/' ? 1 : 0;
  for (const char c : *decoded) {
    slashes -= c == '/' ? 1 : 0;
    require(is_char(c, kValueChar) && c != '\t' && c != '\\' && c != '%', "no hidden octets");
  }
  require(slashes == 0, "decoding makes no segments");
  require(("/" + *decoded + "/").find("/../") == std::string::npos, "no dot segments");
}

void check_accepted(std::string_view input) {
  RequestParser parser;
  RequestHead head;
  auto parsed = parser.parse(input, head);
  if (!parsed || !*parsed) return;
  require(head.bytes == **parsed && head.bytes <= input.size(), "the size of the head");
  check_fields(head);
  check_path(head.path);
  const std::string again = written(head);
  RequestHead second;
  auto reparsed = parser.parse(again, second);
  require(reparsed.ok() && *reparsed && **reparsed == again.size(), "it can be read again");
  require(gist(head) == gist(second), "it is read as the same");
}

}  // namespace
}  // namespace drover::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drover::wire;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  pieces_make_no_difference(input, {});
  pieces_make_no_difference(input, {.max_bytes = 90, .max_fields = 3, .max_target = 12});
  check_accepted(input);
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  return drover::wire::GrammarMutation(drover::wire::kHttpGrammar, seed)
      .apply(data, size, max_size);
}
