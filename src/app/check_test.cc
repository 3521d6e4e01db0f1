#include <gtest/gtest.h>

#include <fstream>

#include "app/verbs.h"
#include "config/schema.h"
#include "drover_version.h"

namespace drover::app {
namespace {

// No variable set, and no home whose file could be found.
config::Environment bare() {
  return [](std::string_view name) {
    return name == "XDG_CONFIG_HOME" ? std::optional<std::string>("/nonexistent") : std::nullopt;
  };
}

std::string file_with(const std::string& text) {
  const std::string path =
      testing::TempDir() + testing::UnitTest::GetInstance()->current_test_info()->name() + ".yaml";
  std::ofstream(path) << text;
  return path;
}

TEST(Check, PrintsEveryErrorWithItsPlace) {
  const std::string path = file_with("polcy: x\nloops: 0\n");
  const cli::Printed said = run_check({.config = {.file = path}}, bare());
  EXPECT_EQ(said.exit_code, cli::kFailed);
  EXPECT_EQ(said.out, "");
  EXPECT_EQ(said.err, path + ":1:1: unknown key 'polcy'; did you mean 'policy'?\n" + path +
                          ":2:8: 'loops' must be auto or a whole number from 1 to 64, not '0'\n"
                          "2 errors\n");
}

TEST(Check, PrintsWhatHolds) {
  const cli::Printed said = run_check({.config = {.file = "config/two-instances.yaml"}}, bare());
  EXPECT_EQ(said.exit_code, cli::kDone);
  EXPECT_EQ(said.err, "");
  EXPECT_EQ(said.out,
            "config/two-instances.yaml: fine\n"
            "  listen     127.0.0.1:11433\n"
            "  admin      127.0.0.1:11436\n"
            "  policy     expected_completion\n"
            "  instances  first   http://127.0.0.1:11434  at most 512 in flight\n"
            "             second  http://127.0.0.1:11435  at most 512 in flight\n");
}

TEST(Check, FlagsWinOverTheEnvironmentAndTheEnvironmentOverTheFile) {
  const std::string path = file_with("policy: round_robin\nadmin: 127.0.0.1:1\n");
  const config::Environment environment = [](std::string_view name) -> std::optional<std::string> {
    if (name == "DROVER_ADMIN") return "127.0.0.1:2";
    if (name == "DROVER_LISTEN") return "127.0.0.1:3";
    return std::nullopt;
  };
  const cli::Printed said =
      run_check({.config = {.file = path, .listen = {"127.0.0.1:4"}}}, environment);
  EXPECT_EQ(said.exit_code, cli::kDone) << said.err;
  EXPECT_NE(said.out.find("listen     127.0.0.1:4\n"), std::string::npos) << said.out;
  EXPECT_NE(said.out.find("admin      127.0.0.1:2\n"), std::string::npos) << said.out;
  EXPECT_NE(said.out.find("policy     round_robin\n"), std::string::npos) << said.out;
  EXPECT_NE(said.out.find("none configured"), std::string::npos) << said.out;
}

TEST(Check, JsonHasErrorsOrWhatHolds) {
  const std::string path = file_with("loops: 0\n");
  const cli::Printed bad =
      run_check({.config = {.file = path}, .output = cli::Output::kJson}, bare());
  EXPECT_EQ(bad.exit_code, cli::kFailed);
  EXPECT_EQ(bad.out, "{\"ok\":false,\"file\":\"" + path + "\",\"errors\":[{\"source\":\"" + path +
                         "\",\"line\":1,\"column\":8,\"message\":\"'loops' must be auto or a whole "
                         "number from 1 to 64, not '0'\"}],\"warnings\":[],\"effective\":null}\n");
  const cli::Printed good = run_check(
      {.config = {.file = "config/two-instances.yaml"}, .output = cli::Output::kJson}, bare());
  EXPECT_EQ(good.exit_code, cli::kDone);
  EXPECT_NE(good.out.find("\"ok\":true"), std::string::npos);
  EXPECT_NE(good.out.find("{\"name\":\"first\",\"url\":\"http://127.0.0.1:11434\","
                          "\"max_in_flight\":512}"),
            std::string::npos)
      << good.out;
}

TEST(Check, AMissingFileIsAFailure) {
  const cli::Printed said = run_check({.config = {.file = "/nonexistent/drover.yaml"}}, bare());
  EXPECT_EQ(said.exit_code, cli::kFailed);
  EXPECT_EQ(said.err,
            "--config: '/nonexistent/drover.yaml': cannot be read (No such file or directory); "
            "check the path and its permissions\n1 error\n");
}

TEST(Check, WarningsDoNotFail) {
  const cli::Printed said =
      run_check({.config = {.file = file_with("admin: 0.0.0.0:1\n")}}, bare());
  EXPECT_EQ(said.exit_code, cli::kDone);
  EXPECT_TRUE(said.err.starts_with("warning: ")) << said.err;
}

TEST(Check, SchemaIsPrintedWhole) {
  const cli::Printed said = run_check({.what = cli::CheckWhat::kPrintSchema}, bare());
  EXPECT_EQ(said.out, config::json_schema());
}

TEST(Version, IsOneLineOrOneObject) {
  const std::string version = kVersion;
  EXPECT_EQ(run_version({}).out, "drover " + version + "\n");
  EXPECT_EQ(run_version({.output = cli::Output::kJson}).out,
            "{\"name\":\"drover\",\"version\":\"" + version + "\"}\n");
}

}  // namespace
}  // namespace drover::app
