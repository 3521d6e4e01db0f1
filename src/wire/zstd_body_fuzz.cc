// Whole or in pieces, a compressed body says the same, and never more than its bound.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "wire/zstd_body.h"

namespace {

using drover::wire::ZstdBody;

drover::Result<std::string> read(std::string_view body, std::size_t step) {
  ZstdBody reader;
  std::string out;
  for (std::size_t at = 0; at < body.size(); at += step) {
    std::string_view piece = body.substr(at, step);
    for (;;) {
      drover::Result<ZstdBody::Step> done = reader.next(piece);
      if (!done) return std::move(done).error();
      if (done->consumed > piece.size()) std::abort();
      piece.remove_prefix(done->consumed);
      out += done->data;
      // What is told in one step is held against the bound after it.
      const std::uint64_t room = 64 * 1024 + ZstdBody::kSlack + ZstdBody::kMostRatio * body.size();
      if (out.size() > room + ZstdBody::kMostRatio) std::abort();
      if (piece.empty() && done->data.empty()) break;
    }
  }
  drover::Result<void> end = reader.end();
  if (!end) return std::move(end).error();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const drover::Result<std::string> whole = read(body, body.size());
  const drover::Result<std::string> pieces = read(body, 1 + data[0] % 16);
  // A bomb may be noticed in another step; what both read is the same.
  if (whole.ok() && pieces.ok() && *whole != *pieces) std::abort();
  return 0;
}
