#include "config/discover.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "config/yaml_tree.h"

namespace drover::config {
namespace {

namespace fs = std::filesystem;

class Discover : public testing::Test {
 protected:
  Discover() {
    std::string pattern = (fs::path(testing::TempDir()) / "discover-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~Discover() override { fs::remove_all(folder_); }

  std::string file(const std::string& path, const std::string& text) {
    const fs::path whole = folder_ / path;
    fs::create_directories(whole.parent_path());
    std::ofstream(whole) << text;
    return whole.string();
  }

  Result<std::optional<FileText>> find(const std::optional<std::string>& flag = std::nullopt) {
    return find_file(flag, [this](std::string_view name) -> std::optional<std::string> {
      const auto found = variables_.find(name);
      if (found == variables_.end()) return std::nullopt;
      return found->second;
    });
  }

  fs::path folder_;
  std::map<std::string, std::string, std::less<>> variables_;
};

TEST_F(Discover, TheFlagWinsOverTheEnvironment) {
  const std::string a = file("a.yaml", "a");
  variables_["DROVER_CONFIG"] = file("b.yaml", "b");
  EXPECT_EQ((*find(a))->text, "a");
  EXPECT_EQ((*find())->text, "b");
}

TEST_F(Discover, TheEnvironmentWinsOverTheUsualPlaces) {
  variables_["XDG_CONFIG_HOME"] = folder_.string();
  file("drover/drover.yaml", "personal");
  EXPECT_EQ((*find())->text, "personal");
  variables_["DROVER_CONFIG"] = file("b.yaml", "b");
  EXPECT_EQ((*find())->text, "b");
}

TEST_F(Discover, WithoutXdgTheHomeCounts) {
  variables_["HOME"] = folder_.string();
  variables_["XDG_CONFIG_HOME"] = "relative/is/ignored";
  file(".config/drover/drover.yaml", "home");
  EXPECT_EQ((*find())->text, "home");
}

TEST_F(Discover, ANamedFileThatIsMissingIsAnError) {
  const auto missing = find((folder_ / "none.yaml").string());
  ASSERT_FALSE(missing.ok());
  EXPECT_TRUE(missing.error().message.starts_with("--config: ")) << missing.error().message;
  EXPECT_NE(missing.error().message.find("No such file"), std::string::npos);
  variables_["DROVER_CONFIG"] = folder_.string();
  ASSERT_FALSE(find().ok());
  EXPECT_NE(find().error().message.find("is a directory"), std::string::npos);
}

TEST_F(Discover, NoFileAnywhereIsFine) {
  variables_["HOME"] = folder_.string();
  if (fs::exists("/etc/drover/drover.yaml")) GTEST_SKIP() << "this machine has its own file";
  const auto none = find();
  ASSERT_TRUE(none.ok());
  EXPECT_FALSE(none->has_value());
}

TEST_F(Discover, AHugeFileIsReadOnlyAsFarAsItTakesToRefuseIt) {
  const std::string path = file("huge.yaml", std::string(2'000'000, '#'));
  const auto huge = find(path);
  ASSERT_TRUE(huge.ok());
  EXPECT_EQ((*huge)->text.size(), kMaxFileBytes + 1);
  EXPECT_FALSE(assemble(*huge, {}).ok());
}

TEST_F(Discover, EnvironmentVariablesBecomeSettings) {
  const auto settings = environment_settings([](std::string_view name) {
    return name == "DROVER_POLICY" ? std::optional<std::string>("round_robin") : std::nullopt;
  });
  ASSERT_EQ(settings.size(), 1u);
  EXPECT_EQ(settings[0].source, "DROVER_POLICY");
  EXPECT_EQ(settings[0].key, "policy");
  EXPECT_EQ(settings[0].value, "round_robin");
}

}  // namespace
}  // namespace drover::config
