#include "keeper/output_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace drover::keeper {
namespace {

namespace fs = std::filesystem;

class OutputLogTest : public testing::Test {
 protected:
  OutputLogTest() {
    std::string pattern = (fs::temp_directory_path() / "drover-log-XXXXXX").string();
    dir_ = ::mkdtemp(pattern.data());
  }
  ~OutputLogTest() override { fs::remove_all(dir_); }

  std::string path(const std::string& name = "gpu0.log") const { return dir_ + "/" + name; }
  std::string text(const std::string& name = "gpu0.log") const {
    std::ifstream in(path(name));
    return {std::istreambuf_iterator<char>(in), {}};
  }
  // What an instance writes; it has been read when this returns.
  void writes(OutputLog& log, std::string_view bytes) {
    const int fd = log.open_pipe();
    ASSERT_GE(fd, 0);
    ASSERT_EQ(::write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    ::close(fd);
    loop_.turn(loop_.now());
    loop_.turn(loop_.now());
  }

  net::EpollLoop loop_;
  std::string dir_;
};

TEST_F(OutputLogTest, KeepsWhatAnInstanceWritesAcrossItsLives) {
  OutputLog log(loop_, {path()});
  writes(log, "one\ntwo\n");
  log.note("it ended");
  writes(log, "three\n");
  EXPECT_EQ(text(), "one\ntwo\ndrover: it ended\nthree\n");
}

TEST_F(OutputLogTest, KnowsTheLastLineThatSaysSomething) {
  OutputLog log(loop_, {path()});
  writes(log, "first\nbind: address already in use\r\n  \n\nunfinished");
  EXPECT_EQ(log.last_line(), "bind: address already in use");
  writes(log, std::string(5000, 'x') + "\n");
  EXPECT_LE(log.last_line().size(), 300U);
  log.forget_last_line();
  EXPECT_TRUE(log.last_line().empty());
}

TEST_F(OutputLogTest, PutsAFullFileAsideAndDropsTheOldest) {
  OutputLog log(loop_, {path(), 10, 2});
  for (const char* line : {"line 1\n", "line 2\n", "line 3\n", "line 4\n"}) writes(log, line);
  EXPECT_EQ(text(), "line 4\n");
  EXPECT_EQ(text("gpu0.log.1"), "line 3\n");
  EXPECT_EQ(text("gpu0.log.2"), "line 2\n");
  EXPECT_FALSE(fs::exists(path("gpu0.log.3")));
}

TEST_F(OutputLogTest, GoesOnInAFileOfAnEarlierDrover) {
  {
    OutputLog(loop_, {path(), 10, 2}).note("a");
  }
  OutputLog log(loop_, {path(), 10, 2});
  log.note("b");
  EXPECT_EQ(text("gpu0.log.1"), "drover: a\n");
  EXPECT_EQ(text(), "drover: b\n");
}

TEST_F(OutputLogTest, ADiskThatTakesNothingIsCountedAndHoldsNobodyUp) {
  OutputLog log(loop_, {"/dev/full"});
  writes(log, std::string(40'000, 'x') + "\nlast words\n");
  EXPECT_EQ(log.dropped_bytes(), 40'012U);
  EXPECT_EQ(log.last_line(), "last words");
}

TEST_F(OutputLogTest, IsNotForEverybody) {
  OutputLog log(loop_, {path()});
  log.note("x");
  EXPECT_EQ(fs::status(path()).permissions() & fs::perms::others_all, fs::perms::none);
}

}  // namespace
}  // namespace drover::keeper
