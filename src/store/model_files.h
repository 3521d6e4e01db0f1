#pragma once
// The files of an Ollama's model directory (OLLAMA_MODELS), for reading only:
//
//   manifests/HOST/NAMESPACE/MODEL/TAG   a small document that lists what the model is made of
//   blobs/sha256-HEX                     its parts, named by their content
//
// Every call waits for the disk, so none belongs on a loop.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/model_name.h"
#include "base/result.h"

namespace drover::store {

// An open blob, which may be a link to where it really is.
class BlobFile {
 public:
  explicit BlobFile(int file) : file_(file) {}
  BlobFile(BlobFile&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  BlobFile& operator=(BlobFile&&) = delete;
  ~BlobFile();

  // Fills `room` from `offset` on, less at the end only. Errors: kSystem.
  Result<std::size_t> read(std::uint64_t offset, std::span<char> room) const;

 private:
  int file_;
};

class ModelFiles {
 public:
  static constexpr std::size_t kMaxManifest = 1024 * 1024;  // bytes; usual are one or two KB

  explicit ModelFiles(std::string directory) : directory_(std::move(directory)) {}

  // Of the model, whatever the case in which it was pulled. Errors (kSystem), naming the file: it
  // is not there, cannot be read or is too large.
  Result<std::string> manifest(const ModelName& model) const;
  // `digest` is "sha256:" and 64 hex digits. Errors (kSystem): the same, and another size.
  Result<BlobFile> open(std::string_view digest, std::uint64_t bytes) const;

 private:
  std::string directory_;
};

}  // namespace drover::store
