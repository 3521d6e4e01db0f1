#pragma once
// A model directory on the disk (OLLAMA_MODELS), for tests in which somebody else reads it: pulled
// models are real files there, small ones, whose digests are those of their contents.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace drover::fake {

class Directory {
 public:
  // Makes it where it is missing.
  explicit Directory(std::string path);

  bool has(std::string_view digest) const;  // "sha256:…"
  // False: the contents do not have this digest.
  bool put(std::string_view digest, std::string_view contents) const;

  struct Part {
    std::string digest;  // "sha256:…"
    std::string contents;
  };
  // What a registry has of the model: its weights and its configuration.
  static std::vector<Part> parts_of(std::string_view model);
  // The pull is over: the manifest that names these. Its digest, 64 digits.
  std::string write_manifest(std::string_view model, const std::vector<Part>& parts) const;

 private:
  std::string blob(std::string_view digest) const;
  std::string path_;
};

}  // namespace drover::fake
