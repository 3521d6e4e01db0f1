#include "store/model_files.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace drover::store {
namespace {

struct ModelFilesTest : testing::Test {
  ModelFilesTest() {
    std::string name = "/tmp/drover-models-XXXXXX";
    root = ::mkdtemp(name.data());
  }
  ~ModelFilesTest() override { std::filesystem::remove_all(root); }
  void put(const std::string& path, std::string_view text) {
    std::filesystem::create_directories(std::filesystem::path(root + "/" + path).parent_path());
    std::ofstream(root + "/" + path) << text;
  }
  std::string manifest(std::string_view name) {
    const Result<std::string> found = ModelFiles(root).manifest(ModelName::canonical(name));
    return found ? *found : found.error().message;
  }
  std::string root;
  const std::string digest = "sha256:" + std::string(64, 'a');
};

TEST_F(ModelFilesTest, AManifestIsFoundUnderEverySpellingOfItsName) {
  put("manifests/registry.ollama.ai/library/Llama3/latest", "one");
  put("manifests/registry.ollama.ai/me/own/7B", "two");
  put("manifests/host.example/ns/m/t", "three");
  for (const char* name : {"llama3", "LLAMA3:latest", "library/llama3"}) {
    EXPECT_EQ(manifest(name), "one") << name;
  }
  EXPECT_EQ(manifest("me/own:7b"), "two");
  EXPECT_EQ(manifest("host.example/ns/m:t"), "three");
  EXPECT_NE(manifest("other").find("has nothing of other:latest"), std::string::npos);
  EXPECT_NE(manifest("../../me:x").find("has nothing of"), std::string::npos);
  EXPECT_NE(manifest("").find("without a name"), std::string::npos);
}

TEST_F(ModelFilesTest, AManifestHasABound) {
  put("manifests/registry.ollama.ai/library/m/latest",
      std::string(ModelFiles::kMaxManifest + 1, 'x'));
  EXPECT_NE(manifest("m").find("is too large"), std::string::npos);
}

TEST_F(ModelFilesTest, ABlobIsReadInPieces) {
  put("blobs/sha256-" + std::string(64, 'a'), "0123456789");
  const Result<BlobFile> blob = ModelFiles(root).open(digest, 10);
  ASSERT_TRUE(blob.ok()) << blob.error().message;
  std::string room(4, ' ');
  EXPECT_EQ(*blob->read(8, room), 2U);
  EXPECT_EQ(room.substr(0, 2), "89");
  EXPECT_EQ(*blob->read(10, room), 0U);
}

TEST_F(ModelFilesTest, ABlobThatIsMissingOrCutShortIsNone) {
  const Result<BlobFile> missing = ModelFiles(root).open(digest, 10);
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("No such file"), std::string::npos);
  put("blobs/sha256-" + std::string(64, 'a'), "0123");
  EXPECT_FALSE(ModelFiles(root).open(digest, 10));
  std::filesystem::create_directories(root + "/blobs/sha256-" + std::string(64, 'b'));
  EXPECT_FALSE(ModelFiles(root).open("sha256:" + std::string(64, 'b'), 4096));
}

}  // namespace
}  // namespace drover::store
