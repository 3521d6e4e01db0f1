// `drover models` against a client side that is played.

#include "app/models.h"

#include <gtest/gtest.h>

#include <map>

namespace drover::app {
namespace {

using Action = cli::ModelsCommand::Action;

struct Played {
  // By "METHOD /path": status and lines.
  std::map<std::string, std::pair<int, std::vector<std::string>>> answers;
  std::vector<std::string> asked;
  std::string said;
  bool silent = false;

  ModelsSide side() {
    ModelsSide side;
    side.ask = [this](std::string_view method, std::string_view path, std::string_view body,
                      const std::function<void(std::string_view)>& on_line) -> Result<int> {
      const std::string key = std::string(method) + " " + std::string(path);
      asked.push_back(key + " " + std::string(body));
      if (silent) {
        return Error{ErrorKind::kRefused, Origin::kInstance, Retry::kNever, "connection refused"};
      }
      for (const std::string& line : answers[key].second) on_line(line);
      return answers[key].first;
    };
    side.say = [this](std::string_view line) { said += line; };
    side.silence = [](const Error& error) { return "no answer: " + error.message; };
    return side;
  }
};

cli::ModelsCommand command(Action action, std::vector<std::string> names,
                           cli::Output output = cli::Output::kText) {
  cli::ModelsCommand wanted;
  wanted.action = action;
  wanted.names = std::move(names);
  wanted.output = output;
  return wanted;
}

TEST(Models, TheListSaysWhatIsLoadedWhere) {
  Played played;
  played.answers["GET /api/tags"] = {
      200,
      {R"({"models":[{"name":"a:latest","digest":"0123456789abcdef","size":2500000000},)"
       R"({"name":"b:latest","digest":"ff","size":3000000}]})"}};
  played.answers["GET /api/ps"] = {200,
                                   {R"({"models":[{"name":"a:latest","drover_instance":"gpu0"},)"
                                    R"({"name":"a:latest","drover_instance":"gpu2"}]})"}};
  const cli::Printed printed = work_on_models(command(Action::kList, {}), played.side());
  EXPECT_EQ(printed.out,
            "MODEL     DIGEST             SIZE  LOADED ON\n"
            "a:latest  0123456789ab     2.5 GB  gpu0, gpu2\n"
            "b:latest  ff                 3 MB  -\n");
}

TEST(Models, OnATerminalAPullShowsABarForEachStore) {
  Played played;
  played.answers["POST /api/pull"] = {
      200,
      {R"({"status":"pulling manifest"})",
       R"({"status":"pulling a","digest":"a","total":4000000,"completed":1000000,)"
       R"("drover_stores":{"disk0":1000000,"b":0}})",
       R"({"status":"success"})"}};
  ModelsSide side = played.side();
  side.terminal = true;
  EXPECT_EQ(work_on_models(command(Action::kPull, {"a"}), side).exit_code, cli::kDone);
  EXPECT_NE(played.said.find("disk0  [####"), std::string::npos) << played.said;
  EXPECT_NE(played.said.find("b      [...."), std::string::npos) << played.said;
  played.said.clear();
  side.terminal = false;
  (void)work_on_models(command(Action::kPull, {"a"}), side);
  EXPECT_EQ(played.said.find('['), std::string::npos) << played.said;
}

TEST(Models, SyncDoesWhatIsMissingAndNothingElse) {
  Played played;
  played.answers["POST /api/pull"] = {200, {R"({"status":"success"})"}};
  played.answers["POST /api/generate"] = {200, {R"({"done":true})"}};
  ModelsSide side = played.side();
  side.wanted = []() -> Result<std::string> {
    return std::string(R"({"models":[{"name":"a","stores":{"wanted":2,"have":2},)"
                       R"("loaded":{"wanted":0,"have":0}},{"name":"b","stores":{"wanted":2,)"
                       R"("have":1},"loaded":{"wanted":1,"have":0}},{"name":"c","stores":null,)"
                       R"("loaded":{"wanted":1,"have":0}}]})");
  };
  const cli::Printed printed = work_on_models(command(Action::kSync, {}), side);
  EXPECT_EQ(printed.exit_code, cli::kDone);
  EXPECT_EQ(played.asked,
            (std::vector<std::string>{R"(POST /api/pull {"model":"b"})",
                                      R"(POST /api/generate {"model":"b","stream":false})",
                                      R"(POST /api/generate {"model":"c","stream":false})"}));
  EXPECT_EQ(played.said, "a: is as it shall be\nsuccess\nb: loaded\nc: loaded\n");
  side.wanted = []() -> Result<std::string> { return std::string("rubbish"); };
  EXPECT_EQ(work_on_models(command(Action::kSync, {}), side).exit_code, cli::kFailed);
}

TEST(Models, APullShowsPhasesAndTenths) {
  Played played;
  played.answers["POST /api/pull"] = {
      200,
      {R"({"status":"pulling manifest"})",
       R"({"status":"pulling a","digest":"a","total":1000000,"completed":10000})",
       R"({"status":"pulling a","digest":"a","total":1000000,"completed":20000})",
       R"({"status":"pulling a","digest":"a","total":1000000,"completed":1000000})",
       R"({"status":"success"})"}};
  const cli::Printed printed = work_on_models(command(Action::kPull, {"x"}), played.side());
  EXPECT_EQ(printed.exit_code, cli::kDone);
  EXPECT_EQ(played.said,
            "pulling manifest\npulling a: 0 % of 1 MB\npulling a: 100 % of 1 MB\nsuccess\n"
            "x: pulled\n");
}

TEST(Models, AnErrorLineIsAFailure) {
  Played played;
  played.answers["POST /api/pull"] = {200, {R"({"error":"store b: disk full"})"}};
  const cli::Printed printed = work_on_models(command(Action::kPull, {"x", "y"}), played.side());
  EXPECT_EQ(printed.exit_code, cli::kFailed);
  EXPECT_EQ(printed.err, "drover: x: store b: disk full\n");
  EXPECT_EQ(played.asked.size(), 1U);
}

TEST(Models, AStreamThatIsCutIsNoSuccess) {
  Played played;
  played.answers["POST /api/pull"] = {200, {R"({"status":"pulling manifest"})"}};
  EXPECT_EQ(work_on_models(command(Action::kPull, {"x"}), played.side()).exit_code, cli::kFailed);
}

TEST(Models, RemovesLoadsAndUnloads) {
  Played played;
  for (const char* key : {"DELETE /api/delete", "POST /api/generate"}) {
    played.answers[key] = {200, {}};
  }
  for (const Action action : {Action::kRemove, Action::kLoad, Action::kUnload}) {
    EXPECT_EQ(work_on_models(command(action, {"m"}), played.side()).exit_code, cli::kDone);
  }
  EXPECT_EQ(played.asked,
            (std::vector<std::string>{
                R"(DELETE /api/delete {"model":"m"})",
                R"(POST /api/generate {"model":"m","stream":false})",
                R"(POST /api/generate {"model":"m","keep_alive":0,"stream":false})"}));
  EXPECT_EQ(played.said, "m: removed\nm: loaded\nm: unloaded\n");
}

TEST(Models, JsonSaysWhatIsDoneAndWhatNot) {
  Played played;
  played.answers["DELETE /api/delete"] = {404, {R"({"error":"model 'm' not found"})"}};
  const cli::Printed printed =
      work_on_models(command(Action::kRemove, {"m"}, cli::Output::kJson), played.side());
  EXPECT_EQ(printed.exit_code, cli::kFailed);
  EXPECT_EQ(printed.out, "{\"done\":[],\"failed\":\"m\",\"reason\":\"model 'm' not found\"}\n");
  EXPECT_EQ(played.said, "");
}

TEST(Models, WithoutAnAnswerItSaysWhy) {
  Played played;
  played.silent = true;
  EXPECT_EQ(work_on_models(command(Action::kList, {}), played.side()).err,
            "drover: no answer: connection refused\n");
  EXPECT_EQ(work_on_models(command(Action::kLoad, {"m"}), played.side()).exit_code, cli::kFailed);
}

}  // namespace
}  // namespace drover::app
