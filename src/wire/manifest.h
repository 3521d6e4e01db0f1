#pragma once
// The manifest of a model, as registries and Ollama's model directories have it: the blobs that it
// is made of.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace drover::wire {

struct ManifestBlob {
  std::string digest;  // "sha256:" and 64 hex digits in lower case
  std::uint64_t bytes = 0;
  friend bool operator==(const ManifestBlob&, const ManifestBlob&) = default;
};

inline constexpr std::size_t kMaxManifestBlobs = 1000;  // usual are less than ten

// The layers and the config, each once. Errors (kUpstream): not such a document, a digest of
// another kind, none or too many blobs.
Result<std::vector<ManifestBlob>> read_manifest(std::string_view text);

}  // namespace drover::wire
