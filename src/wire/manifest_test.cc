#include "wire/manifest.h"

#include <gtest/gtest.h>

namespace drover::wire {
namespace {

std::string digest(char of) { return "sha256:" + std::string(64, of); }

std::string document(const std::string& config, const std::string& layers) {
  return R"({"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",)"
         R"("config":)" +
         config + R"(,"layers":[)" + layers + "]}";
}

std::string part(const std::string& of, std::uint64_t bytes) {
  return R"({"mediaType":"x","digest":")" + of + R"(","size":)" + std::to_string(bytes) +
         R"(,"from":"/y"})";
}

TEST(Manifest, ListsConfigAndLayersOnce) {
  const auto blobs = read_manifest(document(
      part(digest('c'), 487),
      part(digest('a'), 9'000'000'000) + "," + part(digest('b'), 12) + "," + part(digest('a'), 1)));
  ASSERT_TRUE(blobs.ok()) << blobs.error().message;
  EXPECT_EQ(*blobs, (std::vector<ManifestBlob>{
                        {digest('c'), 487}, {digest('a'), 9'000'000'000}, {digest('b'), 12}}));
}

TEST(Manifest, WhatIsNoneIsRefused) {
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("{}"), document("{}", ""),
        document(part("sha256:../../etc/passwd", 1), ""), document(part("md5:1", 1), ""),
        document(part(digest('A'), 1), ""), document(part(digest('a'), 1), "").substr(0, 150)}) {
    EXPECT_FALSE(read_manifest(text).ok()) << text;
  }
}

}  // namespace
}  // namespace drover::wire
