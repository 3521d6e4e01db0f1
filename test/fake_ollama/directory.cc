#include "fake_ollama/directory.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "base/model_name.h"
#include "fake_ollama/sha256.h"

namespace drover::fake {
namespace {

constexpr std::size_t kWeights = 3'000'000;  // bytes: a few pieces of whoever copies them

void write_file(const std::string& path, std::string_view contents) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << contents;
}

}  // namespace

Directory::Directory(std::string path) : path_(std::move(path)) {
  std::filesystem::create_directories(path_ + "/blobs");
}

std::string Directory::blob(std::string_view digest) const {
  return fmt::format("{}/blobs/sha256-{}", path_, digest.substr(digest.find(':') + 1));
}

bool Directory::has(std::string_view digest) const { return std::filesystem::exists(blob(digest)); }

bool Directory::put(std::string_view digest, std::string_view contents) const {
  if (digest != "sha256:" + sha256_hex(contents)) return false;
  write_file(blob(digest), contents);
  return true;
}

std::vector<Directory::Part> Directory::parts_of(std::string_view model) {
  const std::string name = ModelName::canonical(model).text();
  std::string weights;
  while (weights.size() < kWeights) weights += name + std::to_string(weights.size());
  const std::string config = R"({"model_format":"gguf","name":")" + name + R"("})";
  return {{"sha256:" + sha256_hex(weights), weights}, {"sha256:" + sha256_hex(config), config}};
}

std::string Directory::write_manifest(std::string_view model,
                                      const std::vector<Part>& parts) const {
  const std::string name = ModelName::canonical(model).text();
  const std::string text = fmt::format(
      R"({{"schemaVersion":2,"config":{{"digest":"{}","size":{}}},)"
      R"("layers":[{{"digest":"{}","size":{}}}]}})",
      parts[1].digest, parts[1].contents.size(), parts[0].digest, parts[0].contents.size());
  const std::size_t colon = name.find(':');
  write_file(fmt::format("{}/manifests/registry.ollama.ai/library/{}/{}", path_,
                         name.substr(0, colon), name.substr(colon + 1)),
             text);
  return sha256_hex(text);
}

}  // namespace drover::fake
