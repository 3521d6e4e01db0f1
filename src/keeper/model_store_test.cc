#include "keeper/model_store.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace drover::keeper {
namespace {

namespace fs = std::filesystem;

// A root directory made by hand.
class Machine {
 public:
  Machine() {
    std::string pattern = (fs::temp_directory_path() / "drover-store-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    fs::permissions(root_, fs::perms::others_read | fs::perms::others_exec, fs::perm_options::add);
  }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  ~Machine() { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    const fs::path file = root_ + path;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  void links(const std::string& path, const std::string& target) {
    fs::create_directories(fs::path(root_ + path).parent_path());
    fs::create_symlink(target, root_ + path);
  }
  void close(const std::string& path) { fs::permissions(root_ + path, fs::perms::none); }
  void open(const std::string& path) { fs::permissions(root_ + path, fs::perms::owner_all); }
  void has_model(const std::string& store, const std::string& name, const std::string& sizes) {
    write(store + "/manifests/registry.ollama.ai/library/" + name + "/latest",
          R"({"schemaVersion":2,"config":{"size":1},"layers":[)" + sizes + "]}");
  }
  Result<ModelStore> find(StoreQuery query = {}) {
    query.environment.emplace("HOME", "/home/me");
    query.root = root_;
    return find_model_store(query);
  }

 private:
  std::string root_;
};

constexpr const char* kService = "/etc/systemd/system/ollama.service";
constexpr const char* kHome = "/home/me/.ollama/models";

TEST(ModelStore, IsThisUsersWhenNobodyElseHasOne) {
  Machine machine;
  machine.has_model(kHome, "llama3.2", R"({"size":2000},{"size":30})");
  machine.has_model(kHome, "tiny", R"({"size":5})");
  const ModelStore store = *machine.find();
  EXPECT_EQ(store.path, kHome);
  EXPECT_EQ(store.origin, "this user");
  EXPECT_EQ(store.models, 2U);
  EXPECT_EQ(store.largest_bytes, 2030U);
  EXPECT_TRUE(store.notes.empty());
}

TEST(ModelStore, OfAnInstalledServiceComesFirst) {
  Machine machine;
  machine.write(kService, "[Service]\nUser=nobody-of-that-name\n");
  machine.has_model("/usr/share/ollama/.ollama/models", "a", "");
  machine.has_model(kHome, "b", "");
  const ModelStore store = *machine.find();
  EXPECT_EQ(store.path, "/usr/share/ollama/.ollama/models");
  EXPECT_EQ(store.origin, "ollama.service");
  ASSERT_EQ(store.notes.size(), 1U);
  EXPECT_EQ(store.notes[0],
            "1 more models are in /home/me/.ollama/models (this user), which is not used; "
            "ollama.models chooses it");
}

TEST(ModelStore, OfTheServiceIsWhereItsVariablesSay) {
  Machine machine;
  machine.write(kService,
                "[Service]\nUser=ollama\nEnvironment=\"PATH=/a b\" \"OLLAMA_MODELS=/data/old\"\n");
  machine.write("/etc/systemd/system/ollama.service.d/override.conf",
                "[Service]\n  Environment='OLLAMA_MODELS=/data/my models' OLLAMA_DEBUG=1\n");
  machine.has_model("/data/my models", "a", "");
  EXPECT_EQ(machine.find()->path, "/data/my models");
}

TEST(ModelStore, OfAMaskedServiceDoesNotCount) {
  Machine machine;
  machine.links(kService, "/dev/null");
  machine.has_model(kHome, "b", "");
  EXPECT_EQ(machine.find()->origin, "this user");
}

TEST(ModelStore, WithModelsIsPreferredToAnEmptyOne) {
  Machine machine;
  machine.write(kService, "[Service]\nUser=ollama\n");
  machine.has_model(kHome, "b", "");
  EXPECT_EQ(machine.find()->path, kHome);
}

TEST(ModelStore, ThatIsNamedIsTakenWhateverElseThereIs) {
  Machine machine;
  machine.has_model(kHome, "b", "");
  machine.has_model("/x", "c", "");
  EXPECT_EQ(machine.find({.environment = {{"OLLAMA_MODELS", "/x"}}})->origin, "OLLAMA_MODELS");
  EXPECT_EQ(machine.find({.configured = "/y"})->path, "/y");
}

TEST(ModelStore, ThatIsEmptyIsSaidToBeEmpty) {
  Machine machine;
  const ModelStore store = *machine.find();
  EXPECT_EQ(store.models, 0U);
  ASSERT_EQ(store.notes.size(), 1U);
  EXPECT_NE(store.notes[0].find("no model is in /home/me/.ollama/models"), std::string::npos);
}

TEST(ModelStore, ManifestsThatCannotBeReadCountWithoutASize) {
  Machine machine;
  machine.has_model(kHome, "broken", "{{{");
  machine.has_model(kHome, "odd", R"({"size":"many"},{"size":-1},{})");
  const ModelStore store = *machine.find();
  EXPECT_EQ(store.models, 2U);
  EXPECT_EQ(store.largest_bytes, 0U);
}

TEST(ModelStore, ThatMayNotBeReadIsRefusedWithTheRemedy) {
  Machine machine;
  machine.write(kService, "[Service]\nUser=ollama\nEnvironment=OLLAMA_MODELS=/closed\n");
  machine.has_model("/closed", "a", "");
  machine.close("/closed");
  const bool root = ::geteuid() == 0;  // who may read everything
  constexpr uid_t kNobody = 65534;
  ASSERT_TRUE(!root || ::seteuid(kNobody) == 0);
  const Result<ModelStore> store = machine.find();
  ASSERT_TRUE(!root || ::seteuid(0) == 0);
  machine.open("/closed");
  ASSERT_FALSE(store.ok());
  EXPECT_NE(store.error().message.find("sudo usermod -aG "), std::string::npos);
  EXPECT_NE(store.error().message.find("which this user may not read"), std::string::npos);
}

}  // namespace
}  // namespace drover::keeper
