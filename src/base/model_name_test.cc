#include "base/model_name.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace drover {
namespace {

TEST(ModelName, BringsEverySpellingOfAModelTogether) {
  const std::vector<std::pair<std::string, std::string>> table = {
      {"llama3", "llama3:latest"},
      {"llama3:latest", "llama3:latest"},
      {"LLaMa3:Latest", "llama3:latest"},
      {"  llama3\n", "llama3:latest"},
      {"library/llama3", "llama3:latest"},
      {"registry.ollama.ai/library/llama3:latest", "llama3:latest"},
      {"https://registry.ollama.ai/library/llama3", "llama3:latest"},
      {"http://registry.ollama.ai/library/llama3", "llama3:latest"},
      {"llama3:8B-Q4_K_M", "llama3:8b-q4_k_m"},
      {"someone/model:7b", "someone/model:7b"},
      {"registry.ollama.ai/someone/model", "someone/model:latest"},
      {"hf.co/User/Repo:Q4", "hf.co/user/repo:q4"},
      {"https://hf.co/user/repo", "hf.co/user/repo:latest"},
      {"host.example:5000/ns/model", "host.example:5000/ns/model:latest"},
      {"hf.co/library/model", "hf.co/library/model:latest"}};
  for (const auto& [text, canonical] : table) {
    EXPECT_EQ(ModelName::canonical(text).text(), canonical) << text;
  }
}

TEST(ModelName, FollowsTheSuffixesThatNameASource) {
  EXPECT_EQ(ModelName::canonical("llama3:local").text(), "llama3:latest");
  EXPECT_EQ(ModelName::canonical("llama3:8b:Local").text(), "llama3:8b");
  EXPECT_EQ(ModelName::canonical("gpt-oss:cloud").text(), "gpt-oss:cloud");
  EXPECT_EQ(ModelName::canonical("gpt-oss:20b-cloud").text(), "gpt-oss:20b-cloud");
  EXPECT_EQ(ModelName::canonical("gpt-oss:20b:cloud").text(), "gpt-oss:20b-cloud");
  // Both at once: an instance refuses it, so it must not turn into a name that exists.
  EXPECT_EQ(ModelName::canonical("m:cloud:local").text(), "m:cloud:local");
  EXPECT_EQ(ModelName::canonical("m:20b-cloud:local").text(), "m:20b-cloud:local");
}

// What Ollama holds for invalid must not become the name of a model that exists.
TEST(ModelName, DoesNotRepairWhatNoStoreCanHave) {
  const std::vector<std::string> odd = {"llama3:",
                                        "registry.ollama.ai/llama3",
                                        "http://llama3",
                                        "http://library/llama3",
                                        "registry.ollama.ai//llama3",
                                        "/llama3",
                                        "//llama3",
                                        "../llama3",
                                        "library/../llama3",
                                        "llama3@sha256:0123456789abcdef",
                                        "llama3:latest:latest",
                                        "llama3%3alatest",
                                        std::string("llama3\0", 7),
                                        "llama3\x1b[31m",
                                        "library%2fllama3",
                                        "registry.ollama.ai/library/library/llama3"};
  for (const std::string& text : odd) {
    const ModelName name = ModelName::canonical(text);
    EXPECT_NE(name, ModelName::canonical("llama3")) << text;
    EXPECT_FALSE(name.empty()) << text;
  }
}

TEST(ModelName, IsEmptyOnlyWithoutText) {
  EXPECT_TRUE(ModelName::canonical("").empty());
  EXPECT_TRUE(ModelName::canonical(" \t").empty());
  EXPECT_FALSE(ModelName::canonical(":").empty());
}

TEST(ModelName, IsItsOwnCanonicalForm) {
  for (const char* text :
       {"llama3", "library/library/m", "a/b/c/d:e", "m:local", "m:1:cloud", "x::cloud",
        "m:local:local", "http://registry.ollama.ai/x/y", "a://b://c/d/e",
        "registry.ollama.ai/registry.ollama.ai/x", ":", "a:", "/", "//"}) {
    const ModelName once = ModelName::canonical(text);
    EXPECT_EQ(ModelName::canonical(once.text()), once) << text;
  }
}

}  // namespace
}  // namespace drover
