// Whole or in pieces, a form says the same.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "wire/multipart.h"

namespace {

drover::Result<std::string> read(std::string_view body, std::size_t piece) {
  drover::wire::MultipartModel reader;
  for (std::size_t at = 0; at < body.size(); at += piece) {
    drover::Result<void> fed = reader.feed(body.substr(at, piece));
    if (!fed) return std::move(fed).error();
  }
  return reader.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const drover::Result<std::string> whole = read(body, body.size());
  const drover::Result<std::string> pieces = read(body, 1 + data[0] % 16);
  if (whole.ok() != pieces.ok()) std::abort();
  if (whole.ok() && *whole != *pieces) std::abort();
  return 0;
}
