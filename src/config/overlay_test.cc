#include "config/overlay.h"

#include <gtest/gtest.h>

namespace drover::config {
namespace {

const FileText kFile{"f",
                     "listen: 127.0.0.1:1\nadmin: 127.0.0.1:2\npolicy: round_robin\n"
                     "backends:\n  - {url: \"http://a:1\", name: kept}\n"};

std::string all(const LoadResult& result) {
  std::string out;
  for (const Problem& problem : result.errors) out += problem.render() + "\n";
  return out;
}

TEST(Overlay, WithoutSettingsTheFileHolds) {
  const LoadResult result = assemble(kFile, {});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result.config.backends[0].name, "kept");
  EXPECT_EQ(assemble(std::nullopt, {}).config, Config{});
}

TEST(Overlay, AnAddressThatSomebodyNamedIsNoDefaultThoughItIsTheSame) {
  const std::vector<Setting> flag = {{"--listen", "listen", "127.0.0.1:11434"}};
  EXPECT_TRUE(assemble(std::nullopt, {}).config.listen_is_default);
  EXPECT_FALSE(assemble(std::nullopt, flag).config.listen_is_default);
  EXPECT_FALSE(assemble(kFile, {}).config.listen_is_default);
}

TEST(Overlay, LaterSourcesWin) {
  const std::vector<Setting> settings = {{"DROVER_POLICY", "policy", "round_robin"},
                                         {"DROVER_ADMIN", "admin", "127.0.0.1:3"},
                                         {"--policy", "policy", "least_loaded"}};
  const LoadResult result = assemble(kFile, settings);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result.config.policy, Policy::kLeastLoaded);
  EXPECT_EQ(result.config.admin.port, 3);
}

TEST(Overlay, ARepeatedFlagGrowsItsListAndReplacesWhatWasBefore) {
  const std::vector<Setting> settings = {{"DROVER_BACKENDS", "backends", "http://x:1, http://y:1,"},
                                         {"--backend", "backends", "http://b:1"},
                                         {"--backend", "backends", "http://c:1"}};
  const LoadResult result = assemble(kFile, settings);
  ASSERT_TRUE(result.ok());
  ASSERT_EQ(result.config.backends.size(), 2u);
  EXPECT_EQ(result.config.backends[0].name, "b:1");
  EXPECT_EQ(result.config.backends[1].name, "c:1");
}

TEST(Overlay, ErrorsNameTheirSource) {
  const std::vector<Setting> settings = {{"DROVER_BACKENDS", "backends", "gpu1:11434,http://a:1"},
                                         {"--listen", "listen", "11434"},
                                         {"--policy", "policy", "least-loaded"},
                                         {"--admin", "admin", "http://a:1"}};
  EXPECT_EQ(all(assemble(std::nullopt, settings)),
            "DROVER_BACKENDS: 'gpu1:11434' lacks its scheme; write http://gpu1:11434\n"
            "--listen: '11434' is no IPv4 address; write four numbers from 0 to 255, such as "
            "127.0.0.1\n"
            "--policy: must be round_robin, least_loaded or expected_completion, not "
            "'least-loaded'; did you mean "
            "'least_loaded'?\n"
            "--admin: 'http://a:1' is a URL; write only host:port, such as 127.0.0.1:11436\n");
}

TEST(Overlay, RulesAboutSeveralKeysAreJudgedOnTheValuesThatWon) {
  const FileText file{"f", "listen: 127.0.0.1:11434\nbackends: [\"http://127.0.0.1:11434\"]\n"};
  EXPECT_FALSE(assemble(file, {}).ok());
  const std::vector<Setting> settings = {{"--listen", "listen", "127.0.0.1:9999"}};
  EXPECT_TRUE(assemble(file, settings).ok());
}

TEST(Overlay, ALoopNamesBothSources) {
  const std::vector<Setting> settings = {{"--listen", "listen", "0.0.0.0:1"},
                                         {"--backend", "backends", "http://127.0.0.1:1"}};
  EXPECT_EQ(all(assemble(std::nullopt, settings)),
            "--backend: http://127.0.0.1:1 is drover's own listen address 0.0.0.0:1 (--listen), so "
            "requests would go round in circles; change one of the two\n");
}

TEST(Overlay, TheSameInstanceTwiceFromOneFlagIsAnError) {
  const std::vector<Setting> settings = {{"--backend", "backends", "http://a:1"},
                                         {"--backend", "backends", "http://a:1"}};
  EXPECT_EQ(all(assemble(std::nullopt, settings)),
            "--backend: http://a:1 is the same instance as 'a:1'; list it once\n");
}

TEST(Overlay, AnEmptyListIsAnError) {
  const std::vector<Setting> settings = {{"--backend", "backends", " , "}};
  EXPECT_EQ(all(assemble(std::nullopt, settings)),
            "--backend: is empty; give a value or leave it out\n");
}

TEST(Overlay, ListsAreBounded) {
  std::string many;
  for (int i = 0; i < 100'000; ++i) many += "http://a:1,";
  const std::vector<Setting> settings = {{"DROVER_BACKENDS", "backends", many}};
  EXPECT_EQ(all(assemble(std::nullopt, settings)),
            "DROVER_BACKENDS: has 100000 entries; at most 256 are read\n");
}

TEST(Overlay, AnyPlainKeyCanBeSet) {
  const std::vector<Setting> settings = {{"--set", "limits.fields", "50"},
                                         {"--set", "loops", "2"},
                                         {"--set", "backends[].url", "x"},
                                         {"--set", "nope", "x"},
                                         {"--set", "\x1b[2J", "x"}};
  const LoadResult result = assemble(std::nullopt, settings);
  EXPECT_EQ(result.config.limits.fields, 50u);
  EXPECT_EQ(result.config.loops, 2u);
  EXPECT_EQ(all(result),
            "--set: must be written in the configuration file\n--set: there is no key 'nope'\n"
            "--set: there is no key '\\x1b[2J'\n");
}

TEST(Assemble, AnInstanceOnTheUsualAddressMovesDroverBesideIt) {
  const FileText one{"f.yaml", "backends: [http://127.0.0.1:11434]\n"};
  const LoadResult beside = assemble(one, {});
  ASSERT_TRUE(beside.ok());
  EXPECT_EQ(beside.config.listen.front().port, 11435);
  ASSERT_EQ(beside.warnings.size(), 1U);
  EXPECT_NE(beside.warnings.front().message.find("drover listens on 127.0.0.1:11435"),
            std::string::npos);

  const FileText two{"f.yaml", "backends: [http://127.0.0.1:11434, http://localhost:11435]\n"};
  EXPECT_EQ(assemble(two, {}).config.listen.front().port, 11433);
}

TEST(Assemble, AnAddressThatWasWrittenDoesNotMove) {
  const FileText file{"f.yaml", "listen: 127.0.0.1:11434\nbackends: [http://127.0.0.1:11434]\n"};
  EXPECT_FALSE(assemble(file, {}).ok());
}

}  // namespace
}  // namespace drover::config
