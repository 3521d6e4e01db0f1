// Any bytes as a manifest: what is read is a list of blobs that can be asked for, each once, and
// the text is a document for another parser, too.

#include <simdjson.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>

#include "wire/json_fuzz_judge.h"
#include "wire/manifest.h"

namespace {

using namespace drover::wire;

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto blobs = read_manifest(text);
  if (!blobs) return 0;
  require(!blobs->empty() && blobs->size() <= kMaxManifestBlobs);
  std::set<std::string> digests;
  for (const ManifestBlob& blob : *blobs) {
    constexpr std::size_t kLength = 7 + 64;  // and nothing that could lead out of a directory
    require(blob.digest.size() == kLength && blob.digest.starts_with("sha256:"));
    require(blob.digest.find_first_of("./\\", 7) == std::string::npos);
    require(digests.insert(blob.digest).second);
  }
  simdjson::dom::parser parser;
  const auto error = parser.parse(simdjson::padded_string(text)).error();
  require(!error || is_known_difference(error, text));
  return 0;
}
