#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/verbs.h"

namespace drover::app {
namespace {

using testing::HasSubstr;

std::string completion(cli::Shell shell) { return run_completion({shell}).out; }

TEST(Completion, EveryShellKnowsEveryVerbAndOption) {
  for (const cli::Shell shell : {cli::Shell::kBash, cli::Shell::kZsh, cli::Shell::kFish}) {
    const std::string text = completion(shell);
    for (const cli::VerbText& verb : cli::describe()) {
      EXPECT_THAT(text, HasSubstr(verb.name));
      for (const cli::OptionText& option : verb.options) {
        const std::string name =
            shell == cli::Shell::kFish ? " -l " + option.name.substr(2) : option.name;
        EXPECT_THAT(text, HasSubstr(name));
      }
      for (const std::string& word : verb.words) EXPECT_THAT(text, HasSubstr(word));
    }
  }
}

TEST(Completion, OptionsThatNameAFileOfferFiles) {
  EXPECT_THAT(completion(cli::Shell::kBash), HasSubstr("--config|--svg|--trace|--root)"));
  EXPECT_THAT(completion(cli::Shell::kZsh), HasSubstr(":FILE:_files'"));
  EXPECT_THAT(completion(cli::Shell::kFish), HasSubstr("-l config -r -F"));
}

TEST(Completion, AnApostropheDoesNotEndTheQuotes) {
  EXPECT_THAT(completion(cli::Shell::kZsh), HasSubstr("distribution'\\''s"));
  EXPECT_THAT(completion(cli::Shell::kFish), HasSubstr("distribution\\'s"));
}

}  // namespace
}  // namespace drover::app
