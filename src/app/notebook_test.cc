#include "app/notebook.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/testing.h"
#include "net/epoll_loop.h"

namespace drover::app {
namespace {

class RecordingLog final : public Log {
 public:
  void write(LogLevel, std::string_view event, std::span<const LogField>) override {
    lines.emplace_back(event);
  }
  std::vector<std::string> lines;
};

class NotebookTest : public ::testing::Test {
 protected:
  NotebookTest() {
    char pattern[] = "/tmp/drover-notes-XXXXXX";
    path_ = ::mkdtemp(pattern);
  }
  ~NotebookTest() override { std::filesystem::remove_all(path_); }

  // One life of a gateway, as far as the notebook is concerned.
  struct Life {
    explicit Life(const std::string& path,
                  core::PolicyName policy = core::PolicyName::kExpectedCompletion)
        : engine(loop, settings(policy), core::testing::specs(2), log),
          notes(engine,
                std::make_shared<const store::Folder>(std::move(store::Folder::open(path)).value()),
                log) {
      notes.read();
    }
    static core::Settings settings(core::PolicyName policy) {
      core::Settings settings;
      settings.policy = policy;
      return settings;
    }
    bool said(std::string_view line) const {
      return std::ranges::find(log.lines, line) != log.lines.end();
    }
    net::EpollLoop loop;
    RecordingLog log;
    engine::Engine engine;
    Notebook notes;
  };
  static core::Learned something() {
    core::Learned learned;
    learned.loads = {2, 3, 5, 7, 11};
    learned.models.push_back({"sha256:a", "a:latest", 4, 500, {}, {}, {}});
    learned.models.back().at.push_back({"http://gpu1:11434", {}, {1, 0, 0, 0.5, 0}, 0, 20});
    return learned;
  }

  std::string path_;
};

TEST_F(NotebookTest, TheNextLifeKnowsWhatThisOneLearned) {
  core::Learned learned;
  {
    Life life(path_);
    EXPECT_TRUE(life.log.lines.empty()) << "the first time there is nothing to say";
    EXPECT_EQ(life.notes.age_seconds(), -1);
    life.engine.remember(something());
    learned = *life.engine.learned();
    life.notes.write_at_the_end();
    EXPECT_EQ(life.notes.age_seconds(), 0);
    EXPECT_EQ(life.engine.metrics().notes_written.value(), 1U);
    life.notes.write_at_the_end();
    EXPECT_EQ(life.engine.metrics().notes_written.value(), 1U) << "nothing new";
  }
  const Life next(path_);
  EXPECT_TRUE(next.said("learned before"));
  EXPECT_TRUE(*next.engine.learned() == learned);
}

TEST_F(NotebookTest, AFolderThatTakesNothingIsCountedAndSaidOnce) {
  Life life(path_);
  life.engine.remember(something());
  std::filesystem::remove_all(path_);
  for (int i = 0; i < 3; ++i) life.notes.write_at_the_end();
  EXPECT_EQ(life.engine.metrics().notes_failed.value(), 3U);
  EXPECT_EQ(std::ranges::count(life.log.lines, "what is learned cannot be written down"), 1);
  std::filesystem::create_directory(path_);
  life.notes.write_at_the_end();
  EXPECT_EQ(life.engine.metrics().notes_written.value(), 1U);
  EXPECT_TRUE(life.said("what is learned is written down again"));
}

TEST_F(NotebookTest, LinesThatMakeNoSenseAreSetAside) {
  {
    const store::Folder folder = std::move(store::Folder::open(path_)).value();
    ASSERT_TRUE(folder.write({"learned", 1, 100}, "nonsense\n").ok());
  }
  const Life life(path_);
  EXPECT_TRUE(life.said("what was learned cannot be read, and is learned anew"));
  EXPECT_TRUE(std::filesystem::exists(path_ + "/learned.aside"));
}

TEST_F(NotebookTest, APolicyThatLearnsNothingLeavesThePageAsItIs) {
  {
    Life life(path_);
    life.engine.remember(something());
    life.notes.write_at_the_end();
  }
  const auto before = std::filesystem::file_size(path_ + "/learned");
  {
    Life other(path_, core::PolicyName::kLeastLoaded);
    other.notes.start();
    other.notes.write_at_the_end();
  }
  EXPECT_EQ(std::filesystem::file_size(path_ + "/learned"), before);
}

}  // namespace
}  // namespace drover::app
