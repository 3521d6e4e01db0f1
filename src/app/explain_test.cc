#include <gtest/gtest.h>

#include "app/request_story.h"
#include "app/verbs.h"

namespace drover::app {
namespace {

// As the admin side writes it: served by the second instance when the first had failed.
constexpr char kServed[] =
    R"({"id":"my-request-7","client":"192.168.1.7","route":"/api/chat","model":"llama3.2:latest",)"
    R"("instance":"gpu1","status":200,"outcome":"served","reason":"","retries":1,)"
    R"("arrived_seconds_ago":75.2,"queued_ms":4.06,"load_ms":2310.5,"first_token_ms":2612.0,)"
    R"("total_ms":3900.4,"prompt_tokens":26,"output_tokens":298,)"
    R"("failure":"the connection was reset",)"
    R"("why":"expected_completion chose gpu1; gpu0: failed this request; )"
    R"(gpu1: 2 under way, model loaded, 0.42 s"})";

std::string with(std::string_view from, std::string_view to, std::string text = kServed) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string story(const std::string& json) {
  const Result<std::string> told = request_story(json);
  return told ? *told : "error: " + told.error().message;
}

config::Environment bare() {
  return [](std::string_view name) {
    return name == "XDG_CONFIG_HOME" ? std::optional<std::string>("/nonexistent") : std::nullopt;
  };
}

TEST(Explain, AStoryTellsWhatWasAskedWhereItWentWhenAndWhy) {
  EXPECT_EQ(
      story(kServed),
      "Request my-request-7, 1m ago: /api/chat for llama3.2:latest, from 192.168.1.7\n"
      "Answered by gpu1 with status 200\n"
      "A failure on the way: the connection was reset\n"
      "\n"
      "  waited in drover         4.1 ms\n"
      "  load in the instance     2.31 s\n"
      "  first token after        2.61 s\n"
      "  all over after           3.90 s\n"
      "  tried again              1 time\n"
      "  tokens read                  26\n"
      "  tokens written              298\n"
      "\n"
      "The decision:\n"
      "  expected_completion chose gpu1\n"
      "    gpu0: failed this request\n"
      "    gpu1: 2 under way, model loaded, 0.42 s\n"
      "\n"
      "Each instance as it was then: why it was passed over, or the requests it had under way.\n"
      "The time is the delay, whoever's, that was expected of sending this request there.\n");
}

TEST(Explain, ARefusalIsASentenceAndHasNoTimesThatDidNotHappen) {
  const std::string refused =
      R"({"id":"a","client":"::1","route":"/api/chat","model":"m:latest","instance":"",)"
      R"("status":503,"outcome":"refused","reason":"unavailable","retries":0,)"
      R"("arrived_seconds_ago":3,"queued_ms":0.0,"load_ms":null,"first_token_ms":null,)"
      R"("total_ms":0.31,"prompt_tokens":0,"output_tokens":0,)"
      R"("failure":"no instance can take model 'm'; try again in 2 s",)"
      R"("why":"least_loaded; first: down"})";
  EXPECT_EQ(
      story(refused),
      "Request a, 3s ago: /api/chat for m:latest, from ::1\n"
      "Refused with status 503: no instance can take model 'm'; try again in 2 s\n"
      "\n"
      "  all over after           0.3 ms\n"
      "\n"
      "The decision:\n"
      "  least_loaded\n"
      "    first: down\n"
      "\n"
      "Each instance as it was then: why it was passed over, or the requests it had under way.\n");
  EXPECT_NE(story(with("least_loaded; first: down", "", refused)).find("none was considered"),
            std::string::npos);
}

TEST(Explain, EveryOutcomeHasItsSentence) {
  const auto second_line = [](const std::string& outcome) {
    const std::string text = story(with(R"("outcome":"served")", outcome));
    const std::size_t begin = text.find('\n') + 1;
    return text.substr(begin, text.find('\n', begin) - begin);
  };
  EXPECT_EQ(second_line(R"("outcome":"broken")"),
            "Broke off when gpu1 had sent a part of the answer: the connection was reset");
  EXPECT_EQ(second_line(R"("outcome":"failed")"),
            "Failed with status 200: the connection was reset");
  EXPECT_EQ(second_line(R"("outcome":"client_gone")"),
            "The client left before it had the whole answer of gpu1");
}

TEST(Explain, WhatInstancesSaidIsHarmlessForATerminal) {
  const std::string text = story(with("the connection was reset", R"(\u001b[2J gone)"));
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_NE(text.find(R"(A failure on the way: \x1b[2J gone)"), std::string::npos) << text;
}

TEST(Explain, AnAnswerOfSomebodyElseIsNoStory) {
  for (const char* text : {"", "{}", "[]", "null", "<html>", R"({"id":7})"}) {
    EXPECT_EQ(story(text), "error: the answer is no request of drover") << text;
  }
}

TEST(Explain, WithoutADroverThereIsASentence) {
  const cli::Printed said =
      run_explain({.config = {.admin = "127.0.0.1:1"}, .id = "a b\r\n/.."}, bare());
  EXPECT_EQ(said.exit_code, cli::kFailed);
  EXPECT_EQ(said.err,
            "drover: drover is not running on 127.0.0.1:1 (connection refused). Start it with: "
            "drover serve\n");
}

}  // namespace
}  // namespace drover::app
