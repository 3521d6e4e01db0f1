#include "app/notebook.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "app/testing.h"
#include "core/testing.h"
#include "net/epoll_loop.h"

namespace drover::app {
namespace {

class NotebookTest : public ::testing::Test {
 protected:
  // One life of a gateway, as far as the notebook is concerned.
  struct Life {
    explicit Life(const testing::ScratchFolder& scratch,
                  core::PolicyName policy = core::PolicyName::kExpectedCompletion)
        : engine(loop, settings(policy), core::testing::specs(2), log),
          notes(engine, scratch.open(), log) {
      notes.read();
    }
    static core::Settings settings(core::PolicyName policy) {
      core::Settings settings;
      settings.policy = policy;
      return settings;
    }
    bool said(std::string_view line) const { return log.count(line) > 0; }
    net::EpollLoop loop;
    testing::SaidLog log;
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

  testing::ScratchFolder scratch_;
};

TEST_F(NotebookTest, TheNextLifeKnowsWhatThisOneLearned) {
  core::Learned learned;
  {
    Life life(scratch_);
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
  const Life next(scratch_);
  EXPECT_TRUE(next.said("learned before"));
  EXPECT_TRUE(*next.engine.learned() == learned);
}

TEST_F(NotebookTest, AFolderThatTakesNothingIsCountedAndSaidOnce) {
  Life life(scratch_);
  life.engine.remember(something());
  scratch_.remove();
  for (int i = 0; i < 3; ++i) life.notes.write_at_the_end();
  EXPECT_EQ(life.engine.metrics().notes_failed.value(), 3U);
  EXPECT_EQ(life.log.count("what is learned cannot be written down"), 1);
  scratch_.restore();
  life.notes.write_at_the_end();
  EXPECT_EQ(life.engine.metrics().notes_written.value(), 1U);
  EXPECT_TRUE(life.said("what is learned is written down again"));
}

TEST_F(NotebookTest, LinesThatMakeNoSenseAreSetAside) {
  {
    ASSERT_TRUE(scratch_.open()->write({"learned", 1, 100}, "nonsense\n").ok());
  }
  const Life life(scratch_);
  EXPECT_TRUE(life.said("what was learned cannot be read, and is learned anew"));
  EXPECT_TRUE(scratch_.has("learned.aside"));
}

TEST_F(NotebookTest, APolicyThatLearnsNothingLeavesThePageAsItIs) {
  {
    Life life(scratch_);
    life.engine.remember(something());
    life.notes.write_at_the_end();
  }
  const auto before = std::filesystem::file_size(scratch_.path() + "/learned");
  {
    Life other(scratch_, core::PolicyName::kLeastLoaded);
    other.notes.start();
    other.notes.write_at_the_end();
  }
  EXPECT_EQ(std::filesystem::file_size(scratch_.path() + "/learned"), before);
}

}  // namespace
}  // namespace drover::app
