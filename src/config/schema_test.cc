#include "config/schema.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>

#include "config/plain.h"

namespace drover::config {
namespace {

std::string read_project_file(const char* path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Schema, EveryDefaultInTheTableIsTheDefaultOfTheStruct) {
  for (const Key& key : schema()) {
    if (std::holds_alternative<std::monostate>(key.slot)) continue;
    Config config;
    const Result<void> done = set_plain(config, key, key.fallback);
    ASSERT_TRUE(done.ok()) << key.path << ": " << done.error().message;
    EXPECT_EQ(config, Config{}) << key.path;
  }
  EXPECT_EQ(find_key("listen")->fallback, Config{}.listen.front().to_string());
  EXPECT_EQ(find_key("admin")->fallback, Config{}.admin.to_string());
  EXPECT_EQ(find_key("backends[].max_in_flight")->fallback,
            std::to_string(Backend{}.max_in_flight));
}

TEST(Schema, BothEndsOfEveryRangeAreAccepted) {
  for (const Key& key : schema()) {
    if (key.least.empty() || std::holds_alternative<std::monostate>(key.slot)) continue;
    Config config;
    EXPECT_TRUE(set_plain(config, key, key.least).ok()) << key.path;
    EXPECT_TRUE(set_plain(config, key, key.most).ok()) << key.path;
  }
}

TEST(Schema, EveryRangeAndChoiceIsChecked) {
  for (const Key& key : schema()) {
    if (std::holds_alternative<std::monostate>(key.slot)) continue;
    Config config;
    EXPECT_FALSE(set_plain(config, key, "no such value").ok()) << key.path;
    EXPECT_FALSE(set_plain(config, key, "").ok()) << key.path;
    EXPECT_EQ(config, Config{}) << key.path;
  }
}

TEST(Schema, PathsAreUniqueAndTheirSectionsExist) {
  std::set<std::string_view> seen;
  for (const Key& key : schema()) {
    EXPECT_TRUE(seen.insert(key.path).second) << key.path;
    EXPECT_FALSE(key.meaning.empty()) << key.path;
    if (key.section().empty() || key.section().ends_with("[]")) continue;
    ASSERT_NE(find_key(key.section()), nullptr) << key.path;
    EXPECT_EQ(find_key(key.section())->kind, Kind::kSection) << key.path;
  }
}

TEST(Schema, TheCommittedJsonSchemaIsTheOneOfTheTable) {
  EXPECT_EQ(read_project_file("config/drover.schema.json"), json_schema())
      << "write it anew: drover check --schema > config/drover.schema.json";
}

// A row "| `key` | `default` | … |"; keys of a list stand as "backends[].url".
TEST(Schema, TheDocumentationHasEveryKeyWithItsDefaultAndRange) {
  const std::string page = read_project_file("docs/configuration.md");
  for (const Key& key : schema()) {
    if (key.kind == Kind::kSection) continue;
    const std::string start = "\n| `" + std::string(key.path) + "` |";
    const std::size_t at = page.find(start);
    ASSERT_NE(at, std::string::npos) << key.path;
    const std::string row = page.substr(at + 1, page.find('\n', at + 1) - at - 1);
    EXPECT_NE(row.find(key.fallback), std::string::npos) << row;
    EXPECT_NE(row.find(key.meaning), std::string::npos) << row;
    if (key.least.empty()) continue;
    const std::string range = std::string(key.least) + " to " + std::string(key.most);
    EXPECT_NE(row.find(range), std::string::npos) << row;
  }
}

TEST(Schema, TheDocumentationHasNoKeyThatIsUnknown) {
  const std::string page = read_project_file("docs/configuration.md");
  const std::size_t table = page.find("## Keys");
  ASSERT_NE(table, std::string::npos);
  for (std::size_t at = page.find("\n| `", table); at != std::string::npos;
       at = page.find("\n| `", at + 1)) {
    const std::size_t from = at + 4;
    const std::string path = page.substr(from, page.find('`', from) - from);
    EXPECT_NE(find_key(path), nullptr) << path;
  }
}

}  // namespace
}  // namespace drover::config
