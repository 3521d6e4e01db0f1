// Whole or in pieces, a form says the same. And any bytes as its Content-Type name one boundary or
// none.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "wire/multipart.h"

namespace {

using drover::Result;
using drover::wire::form_boundary;

void require(bool condition) {
  if (!condition) std::abort();
}

// "BOUNDARY\nMODEL", or the words of the refusal.
std::string read(std::string_view body, std::size_t piece) {
  drover::wire::MultipartModel reader;
  for (std::size_t at = 0; at < body.size(); at += piece) {
    const Result<void> fed = reader.feed(body.substr(at, piece));
    if (!fed) return fed.error().message;
  }
  const Result<std::string> model = reader.finish();
  if (!model) return model.error().message;
  return std::string(reader.boundary()) + '\n' + *model;
}

void check_boundary(std::string_view content_type) {
  const Result<std::string> boundary = form_boundary(content_type);
  if (!boundary) return;
  require(!boundary->empty() && boundary->size() <= 70);
  require(boundary->find_first_of("\\\"") == std::string::npos && !boundary->ends_with(' '));
  const Result<std::string> again =
      form_boundary("multipart/form-data; boundary=\"" + *boundary + '"');
  require(again.ok() && *again == *boundary);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  require(read(body, body.size()) == read(body, 1 + data[0] % 16));
  check_boundary(body);
  check_boundary("multipart/form-data;" + std::string(body));
  return 0;
}
