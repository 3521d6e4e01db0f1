// Every file in config/ is loaded here, by name: a new one without a test fails.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "config/load.h"
#include "config/schema.h"
#include "config/yaml_tree.h"

namespace drover::config {
namespace {

std::string text_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

LoadResult load_clean(const std::string& path) {
  LoadResult result = load(text_of(path), path);
  for (const Problem& problem : result.errors) ADD_FAILURE() << problem.render();
  for (const Problem& problem : result.warnings) ADD_FAILURE() << problem.render();
  return result;
}

void collect(const YamlNode& node, const std::string& prefix, std::set<std::string>& out) {
  for (std::size_t i = 0; i < node.keys.size(); ++i) {
    const std::string path = prefix + node.keys[i].first;
    out.insert(path);
    collect(node.items[i], path + ".", out);
    for (const YamlNode& item : node.items[i].items) {
      if (node.items[i].keys.empty()) collect(item, path + "[].", out);
    }
  }
}

TEST(Examples, TheCompleteOneHasEveryKey) {
  std::set<std::string> written;
  collect(read_yaml(text_of("config/drover.example.yaml")).root, "", written);
  for (const Key& key : schema()) {
    EXPECT_TRUE(written.contains(std::string(key.path))) << key.path;
  }
  EXPECT_EQ(written.size(), schema().size());
}

TEST(Examples, TheCompleteOneIsTheDefaultsAndTwoInstances) {
  Config config = load_clean("config/drover.example.yaml").config;
  ASSERT_EQ(config.backends.size(), 2u);
  EXPECT_EQ(config.backends[0].name, "gpu0");
  EXPECT_EQ(config.backends[0].max_in_flight, Backend{}.max_in_flight);
  EXPECT_EQ(config.backends[1].url, "http://127.0.0.1:11441");
  config.backends.clear();
  ASSERT_EQ(config.ollama.instances.size(), 1u);
  EXPECT_EQ(config.ollama.instances[0],
            (SupervisedInstance{{"0"}, "big", 11450, {"OLLAMA_KEEP_ALIVE=1h"}}));
  config.ollama.instances.clear();
  EXPECT_EQ(config.identity, "gpu0");
  config.identity.reset();
  EXPECT_EQ(config.models,
            (std::vector<Model>{{"qwen3:4b", NumCtxRule::kPass, Model::kAllStores, 1, {"gpu0"}}}));
  config.models.clear();
  EXPECT_FALSE(config.listen_is_default) << "it is written, if only to show it";
  config.listen_is_default = true;
  EXPECT_EQ(config, Config{});
}

TEST(Examples, TwoInstancesStandBesideDrover) {
  const Config config = load_clean("config/two-instances.yaml").config;
  EXPECT_EQ(config.listen, (std::vector<HostPort>{{"127.0.0.1", 11433}}));
  EXPECT_EQ(config.admin, Config{}.admin);
  ASSERT_EQ(config.backends.size(), 2u);
  EXPECT_EQ(config.backends[0].url, "http://127.0.0.1:11434");
  EXPECT_EQ(config.backends[0].name, "first");
  EXPECT_EQ(config.backends[1].url, "http://127.0.0.1:11435");
  EXPECT_EQ(config.backends[1].name, "second");
}

TEST(Examples, FourGpusServeTheNetworkOnOllamasPort) {
  const Config config = load_clean("config/four-gpus.yaml").config;
  EXPECT_EQ(config.listen, (std::vector<HostPort>{{"0.0.0.0", 11434}}));
  EXPECT_EQ(config.allowed_hosts, (std::vector<std::string>{"llm.example.com"}));
  ASSERT_EQ(config.backends.size(), 4u);
  EXPECT_EQ(config.backends[3].name, "gpu3");
  EXPECT_EQ(config.backends[3].url, "http://127.0.0.1:11443");
}

TEST(Examples, EveryFileInTheFolderIsTestedAbove) {
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator("config")) {
    files.insert(entry.path().filename().string());
  }
  EXPECT_EQ(files, (std::set<std::string>{"drover.example.yaml", "drover.schema.json",
                                          "four-gpus.yaml", "two-instances.yaml"}));
}

}  // namespace
}  // namespace drover::config
