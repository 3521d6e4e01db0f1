#include "app/log_tail.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "app/logs.h"

namespace drover::app {
namespace {

namespace fs = std::filesystem;

using Lines = std::vector<std::string>;

class LogTailTest : public testing::Test {
 protected:
  LogTailTest() {
    directory_ = testing::TempDir() + "log_tail_" +
                 testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(directory_);
    fs::create_directories(directory_ + "/logs");
  }
  ~LogTailTest() override { fs::remove_all(directory_); }

  std::string path(const std::string& name = "gpu0.log") const {
    return directory_ + "/logs/" + name;
  }
  void append(const std::string& text, const std::string& name = "gpu0.log") const {
    std::ofstream(path(name), std::ios::app) << text;
  }
  // As the keeper does it with a full file.
  void put_aside() const {
    fs::rename(path("gpu0.log.1"), path("gpu0.log.2"), ignored_);
    fs::rename(path(), path("gpu0.log.1"));
  }

  static Lines last(LogTail& tail, std::size_t count) {
    Lines lines;
    const Result<void> read =
        tail.last(count, [&lines](std::string_view line) { lines.emplace_back(line); });
    EXPECT_TRUE(read.ok());
    return lines;
  }
  static Lines more(LogTail& tail) {
    Lines lines;
    tail.more([&lines](std::string_view line) { lines.emplace_back(line); });
    return lines;
  }

  // What `drover logs` says: its exit code, standard output and standard error.
  struct Said {
    int code = 0;
    std::string out;
    std::string err;
  };
  Said run(const cli::LogsCommand& command) const {
    const config::Environment environment =
        [this](std::string_view name) -> std::optional<std::string> {
      if (name == "STATE_DIRECTORY") return directory_;
      if (name == "XDG_CONFIG_HOME") return "/nonexistent";
      return std::nullopt;
    };
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    Said said;
    said.code = run_logs(command, environment);
    said.out = testing::internal::GetCapturedStdout();
    said.err = testing::internal::GetCapturedStderr();
    return said;
  }

  std::string directory_;
  mutable std::error_code ignored_;
};

TEST_F(LogTailTest, TheLastLinesOfALongFile) {
  for (int i = 0; i < 30'000; ++i) append("line " + std::to_string(i) + "\n");
  LogTail tail(path());
  const Lines lines = last(tail, 20'000);  // over several blocks
  ASSERT_EQ(lines.size(), 20'000U);
  EXPECT_EQ(lines.front(), "line 10000");
  EXPECT_EQ(lines.back(), "line 29999");
}

TEST_F(LogTailTest, FilesThatWerePutAsideCompleteTheNumber) {
  append("1\n2\nhalf ");
  put_aside();
  append("a line\n4\n");
  put_aside();
  append("5\n");
  LogTail three(path());
  EXPECT_EQ(last(three, 3), (Lines{"a line", "4", "5"}));
  LogTail four(path());
  EXPECT_EQ(last(four, 4), (Lines{"2", "half a line", "4", "5"}));
  LogTail all(path());
  EXPECT_EQ(last(all, 100), (Lines{"1", "2", "half a line", "4", "5"}));
}

TEST_F(LogTailTest, GoesOnWhereTheLastLinesEnded) {
  append("1\n2\nhal");
  LogTail tail(path());
  EXPECT_EQ(last(tail, 1), Lines{"2"});
  EXPECT_EQ(tail.rest(), "hal");
  EXPECT_EQ(more(tail), Lines{});
  append("f\n\n4\n");
  EXPECT_EQ(more(tail), (Lines{"half", "", "4"}));
  EXPECT_EQ(more(tail), Lines{});
}

TEST_F(LogTailTest, NoLinesAtFirstStillMeansTheEnd) {
  append("1\n2\n");
  LogTail tail(path());
  EXPECT_EQ(last(tail, 0), Lines{});
  append("3\n");
  EXPECT_EQ(more(tail), Lines{"3"});
}

TEST_F(LogTailTest, AFileThatIsPutAsideIsReadToItsEndBeforeTheNewOne) {
  append("1\n");
  LogTail tail(path());
  last(tail, 10);
  append("2\nacross ");
  put_aside();
  EXPECT_EQ(more(tail), Lines{"2"});  // there is no new file yet
  append("files\n4\n");
  EXPECT_EQ(more(tail), (Lines{"across files", "4"}));
  append("5\n");
  EXPECT_EQ(more(tail), Lines{"5"});
}

TEST_F(LogTailTest, ALineWithoutAnEndIsGivenInPieces) {
  append(std::string(200'000, 'x'));
  LogTail tail(path());
  std::size_t bytes = 0;
  for (const std::string& piece : last(tail, 10)) bytes += piece.size();
  EXPECT_EQ(bytes + tail.rest().size(), 200'000U);
  EXPECT_LE(tail.rest().size(), 128U * 1024);
}

TEST_F(LogTailTest, LogsPrintsEachLineWithItsInstance) {
  append("one\ntwo\nnot finished");
  append("three\n\x1b[2Jred\n", "all-gpus.log");
  append("no log", "notes.txt");
  const Said all = run({});
  EXPECT_EQ(all.code, cli::kDone);
  EXPECT_EQ(all.out,
            "all-gpus | three\n"
            "all-gpus | \\x1b[2Jred\n"
            "gpu0     | one\n"
            "gpu0     | two\n"
            "gpu0     | not finished\n");
  EXPECT_EQ(run({.names = {"gpu0", "gpu0"}, .lines = 1}).out, "gpu0 | two\ngpu0 | not finished\n");
}

TEST_F(LogTailTest, LogsPrintsALongLineWhole) {
  append(std::string(5000, 'x') + "\n");
  const Said said = run({});
  EXPECT_EQ(std::ranges::count(said.out, 'x'), 5000);
  EXPECT_EQ(said.out.find("…"), std::string::npos);
}

TEST_F(LogTailTest, AnUnknownNameIsToldWhichLogsExist) {
  append("one\n");
  append("two\n", "gpu1.log");
  const Said said = run({.names = {"gpu7"}});
  EXPECT_EQ(said.code, cli::kFailed);
  EXPECT_EQ(said.err, "drover: no log of an instance gpu7 is in " + directory_ +
                          "/logs; there are: gpu0, gpu1\n");
}

TEST_F(LogTailTest, WithoutLogsItSaysWhereItLooked) {
  const std::string wanted = "drover: there are no logs in " + directory_ +
                             "/logs: drover has not run instances yet, or it keeps";
  const Said empty = run({});
  EXPECT_EQ(empty.code, cli::kFailed);
  EXPECT_TRUE(empty.err.starts_with(wanted)) << empty.err;
  fs::remove_all(directory_ + "/logs");
  EXPECT_TRUE(run({}).err.starts_with(wanted));
}

TEST_F(LogTailTest, WhatCannotBeReadIsSaidWithTheRemedy) {
  append("one\n");
  fs::permissions(path(), fs::perms::none);
  // The superuser reads everything but a link to itself.
  if (::geteuid() == 0) {
    fs::remove(path());
    fs::create_symlink("gpu0.log", path());
  }
  const Said said = run({.names = {"gpu0"}});
  EXPECT_EQ(said.code, cli::kFailed);
  EXPECT_TRUE(said.err.starts_with("drover: cannot read " + path() + ": ")) << said.err;
}

}  // namespace
}  // namespace drover::app
