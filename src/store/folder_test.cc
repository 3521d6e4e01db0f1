#include "store/folder.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace drover::store {
namespace {

constexpr Kind kNotes{"notes", 3, 1000};

class FolderTest : public ::testing::Test {
 protected:
  FolderTest() {
    char pattern[] = "/tmp/drover-store-XXXXXX";
    path_ = std::string(::mkdtemp(pattern)) + "/a/store";
  }
  ~FolderTest() override { std::filesystem::remove_all(path_.substr(0, path_.size() - 8)); }

  Folder folder() { return std::move(Folder::open(path_)).value(); }
  std::string file() const { return path_ + "/notes"; }
  std::string bytes() const {
    std::ostringstream all;
    all << std::ifstream(file(), std::ios::binary).rdbuf();
    return all.str();
  }
  void put(const std::string& bytes) const { std::ofstream(file(), std::ios::binary) << bytes; }
  static std::string problem(const Folder& folder) {
    const auto read = folder.read(kNotes);
    return read.ok() ? "" : read.error().message;
  }

  std::string path_;
};

TEST_F(FolderTest, WhatWasWrittenIsReadAgain) {
  const Folder folder = this->folder();
  EXPECT_FALSE(folder.read(kNotes).value().has_value());
  for (const std::string& text :
       {std::string("one\ntwo\n"), std::string(), std::string(1000, '\0')}) {
    ASSERT_TRUE(folder.write(kNotes, text).ok());
    EXPECT_EQ(folder.read(kNotes).value(), text);
  }
  struct stat info{};
  ASSERT_EQ(::stat(file().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST_F(FolderTest, EveryDamagedByteIsNoticed) {
  const Folder folder = this->folder();
  ASSERT_TRUE(folder.write(kNotes, "what was learned").ok());
  const std::string whole = bytes();
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const char change : {'\x01', '\x80'}) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ change);
      put(damaged);
      EXPECT_NE(problem(folder), "") << "byte " << i;
    }
    put(whole.substr(0, i));
    EXPECT_NE(problem(folder), "") << "cut at " << i;
  }
  put(whole + "x");
  EXPECT_NE(problem(folder), "");
}

TEST_F(FolderTest, SaysWhatIsWrongAndWhere) {
  const Folder folder = this->folder();
  ASSERT_TRUE(folder.write({"notes", 2, 1000}, "old").ok());
  EXPECT_EQ(problem(folder), file() + " is of version 2, and this drover reads version 3");
  put("a shopping list\n");
  EXPECT_EQ(problem(folder), file() + " is not a file of drover's");
  put(std::string(2000, 'x'));
  EXPECT_EQ(problem(folder), file() + " is too large");
}

TEST_F(FolderTest, WhatCannotBeReadIsSetAsideAndReplaced) {
  const Folder folder = this->folder();
  put("a shopping list\n");
  EXPECT_EQ(folder.set_aside(kNotes), file() + ".aside");
  EXPECT_FALSE(folder.read(kNotes).value().has_value());
  ASSERT_TRUE(folder.write(kNotes, "new").ok());
  EXPECT_EQ(folder.read(kNotes).value(), "new");
  EXPECT_TRUE(std::filesystem::exists(file() + ".aside"));
}

TEST_F(FolderTest, AFullDiskLeavesTheOldFileAndNothingElse) {
  const Folder folder = this->folder();
  ASSERT_TRUE(folder.write(kNotes, "old").ok());
  // No file of this process may grow beyond 100 bytes: what a full disk does, without one.
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  ::getrlimit(RLIMIT_FSIZE, &limit);
  const rlimit small{100, limit.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  const Result<void> written = folder.write(kNotes, std::string(500, 'x'));
  ::setrlimit(RLIMIT_FSIZE, &limit);
  std::signal(SIGXFSZ, before);
  ASSERT_FALSE(written.ok());
  EXPECT_NE(written.error().message.find(file() + " cannot be written: "), std::string::npos);
  EXPECT_EQ(folder.read(kNotes).value(), "old");
  EXPECT_FALSE(std::filesystem::exists(file() + ".new"));
}

TEST_F(FolderTest, OneWrites) {
  const Folder first = folder();
  const auto second = Folder::open(path_);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().message, path_ + " is in use by another drover");
}

TEST_F(FolderTest, APlaceThatCannotBeMadeIsAnError) {
  const auto nowhere = Folder::open("/proc/nowhere");
  ASSERT_FALSE(nowhere.ok());
  EXPECT_NE(nowhere.error().message.find("/proc/nowhere"), std::string::npos);
}

}  // namespace
}  // namespace drover::store
