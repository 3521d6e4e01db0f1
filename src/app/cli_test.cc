#include "app/cli.h"

#include <gtest/gtest.h>

namespace drover::cli {
namespace {

template <class T>
T command(const std::vector<std::string>& arguments) {
  auto outcome = read(arguments);
  if (auto* printed = std::get_if<Printed>(&outcome)) {
    ADD_FAILURE() << printed->out << printed->err;
    return {};
  }
  Command& read_command = std::get<Command>(outcome);
  if (auto* wanted = std::get_if<T>(&read_command)) return *wanted;
  ADD_FAILURE() << "another verb was understood";
  return {};
}

Printed printed(const std::vector<std::string>& arguments) {
  auto outcome = read(arguments);
  if (auto* said = std::get_if<Printed>(&outcome)) return *said;
  ADD_FAILURE() << "a command was understood";
  return {};
}

TEST(Cli, ServeTakesRepeatedAddressesAndInstances) {
  const auto serve =
      command<ServeCommand>({"serve", "--config", "f.yaml", "--listen", "127.0.0.1:1",
                             "--listen=127.0.0.1:2", "--admin", "127.0.0.1:3", "--backend",
                             "http://a:1", "--backend", "http://b:1", "--policy", "round_robin"});
  EXPECT_EQ(serve.config.file, "f.yaml");
  EXPECT_EQ(serve.config.listen, (std::vector<std::string>{"127.0.0.1:1", "127.0.0.1:2"}));
  EXPECT_EQ(serve.config.admin, "127.0.0.1:3");
  EXPECT_EQ(serve.config.backends, (std::vector<std::string>{"http://a:1", "http://b:1"}));
  EXPECT_EQ(serve.config.policy, "round_robin");
}

TEST(Cli, ServeNeedsNothing) {
  const auto serve = command<ServeCommand>({"serve"});
  EXPECT_FALSE(serve.config.file);
  EXPECT_FALSE(serve.config.admin);
  EXPECT_TRUE(serve.config.listen.empty());
}

TEST(Cli, CheckStatusVersionAndDemoTakeTheirOptions) {
  EXPECT_EQ(command<CheckCommand>({"check", "--json"}).output, Output::kJson);
  EXPECT_EQ(command<CheckCommand>({"check"}).what, CheckWhat::kConfiguration);
  EXPECT_EQ(command<CheckCommand>({"check", "--schema"}).what, CheckWhat::kPrintSchema);
  const auto status = command<StatusCommand>({"status", "--admin", "h:1", "--json"});
  EXPECT_EQ(status.config.admin, "h:1");
  EXPECT_EQ(status.output, Output::kJson);
  const auto gpus = command<GpusCommand>({"gpus", "--admin", "h:1", "--json"});
  EXPECT_EQ(gpus.config.admin, "h:1");
  EXPECT_EQ(gpus.output, Output::kJson);
  const auto explain =
      command<ExplainCommand>({"explain", "00000000000002f", "--admin", "h:1", "--json"});
  EXPECT_EQ(explain.id, "00000000000002f");
  EXPECT_EQ(explain.config.admin, "h:1");
  EXPECT_EQ(explain.output, Output::kJson);
  const auto logs = command<LogsCommand>({"logs", "gpu0", "gpu1", "-f", "--lines", "7"});
  EXPECT_EQ(logs.names, (std::vector<std::string>{"gpu0", "gpu1"}));
  EXPECT_EQ(logs.lines, 7U);
  EXPECT_TRUE(logs.follow);
  EXPECT_TRUE(command<LogsCommand>({"logs"}).names.empty());
  const auto prove = command<ProveCommand>(
      {"prove", "--admin", "h:1", "--model", "m", "--seconds", "5", "--parallel", "8", "--json"});
  EXPECT_EQ(prove.config.admin, "h:1");
  EXPECT_EQ(prove.model, "m");
  EXPECT_EQ(prove.seconds, 5U);
  EXPECT_EQ(prove.parallel, 8U);
  EXPECT_EQ(prove.output, Output::kJson);
  EXPECT_EQ(printed({"prove", "--seconds", "0"}).exit_code, kWrongUse);
  const auto sim = command<SimCommand>({"sim", "mm1", "--policy", "random,affinity", "--seeds", "3",
                                        "--load", "0.5", "--json", "a", "--svg", "b"});
  EXPECT_EQ(sim.scenario, "mm1");
  EXPECT_EQ(sim.policies, (std::vector<std::string>{"random", "affinity"}));
  EXPECT_EQ(sim.seeds, 3U);
  EXPECT_EQ(sim.load, 0.5);
  EXPECT_EQ(sim.json_file, "a");
  EXPECT_EQ(sim.svg_file, "b");
  EXPECT_EQ(sim.first_seed, 1U);
  EXPECT_FALSE(sim.time);
  EXPECT_TRUE(command<SimCommand>({"sim", "mm1", "--time"}).time);
  EXPECT_EQ(printed({"sim", "mm1", "--time", "--capacity"}).exit_code, kWrongUse);
  const auto matrix = command<SimCommand>(
      {"sim", "--matrix", "foreign-", "--policy", "random,affinity", "--first-seed", "101"});
  EXPECT_EQ(matrix.matrix, "foreign-");
  EXPECT_EQ(matrix.first_seed, 101U);
  EXPECT_FALSE(matrix.load);
  EXPECT_EQ(printed({"sim", "--matrix", "fits"}).exit_code, kWrongUse) << "four policies";
  EXPECT_EQ(printed({"sim", "mm1", "--matrix", "fits"}).exit_code, kWrongUse);
  EXPECT_FALSE(sim.capacity);
  EXPECT_TRUE(command<SimCommand>({"sim", "mm1", "--capacity"}).capacity);
  EXPECT_EQ(printed({"sim", "mm1", "--capacity", "--load", "1"}).exit_code, kWrongUse);
  EXPECT_EQ(printed({"sim", "--list", "--capacity"}).exit_code, kWrongUse);
  EXPECT_EQ(printed({"sim", "mm1", "--capacity", "--svg", "x.svg"}).exit_code, kWrongUse);
  EXPECT_FALSE(command<SimCommand>({"sim", "--list"}).scenario);
  EXPECT_EQ(printed({"sim"}).exit_code, kWrongUse);
  EXPECT_EQ(printed({"sim", "mm1", "--list"}).exit_code, kWrongUse);
  EXPECT_EQ(printed({"sim", "mm1", "--seeds", "0"}).exit_code, kWrongUse);
  const auto trace = command<SimCommand>(
      {"sim", "--trace", "t", "--gpu", "24GB", "--gpu", "8GB", "--add-gpu", "9"});
  EXPECT_EQ(trace.trace_file, "t");
  EXPECT_EQ(trace.gpus, (std::vector<std::string>{"24GB", "8GB"}));
  EXPECT_EQ(trace.add_gpu, "9");
  EXPECT_EQ(printed({"sim", "mm1", "--trace", "t"}).exit_code, kWrongUse);
  EXPECT_EQ(printed({"sim", "mm1", "--add-gpu", "24GB"}).exit_code, kWrongUse);
  EXPECT_EQ(printed({"sim", "--trace", "t", "--load", "0.5"}).exit_code, kWrongUse);
  EXPECT_EQ(command<VersionCommand>({"version"}).output, Output::kText);
  EXPECT_EQ(command<VersionCommand>({"--version"}).output, Output::kText);
  command<DemoCommand>({"demo"});
}

TEST(Cli, SystemdAndCompletionTakeOneWord) {
  const auto install =
      command<SystemdCommand>({"systemd", "install", "--take-over", "--user", "llm"});
  EXPECT_EQ(install.what, SystemdWhat::kInstall);
  EXPECT_EQ(install.take_over, TakeOver::kYes);
  EXPECT_EQ(install.user, "llm");
  EXPECT_EQ(command<SystemdCommand>({"systemd", "uninstall", "--root", "d"}).root, "d");
  EXPECT_EQ(command<SystemdCommand>({"systemd", "print", "--package"}).paths, Paths::kPackage);
  EXPECT_EQ(command<CompletionCommand>({"completion", "fish"}).shell, Shell::kFish);
}

TEST(Cli, OptionsOfAnotherSystemdWordAreWrongUse) {
  const Printed said = printed({"systemd", "print", "--take-over"});
  EXPECT_EQ(said.exit_code, kWrongUse);
  EXPECT_EQ(said.err,
            "drover: --take-over belongs to drover systemd install\nTry: drover systemd --help\n");
  EXPECT_EQ(printed({"systemd", "install", "--take-over", "--root", "d"}).exit_code, kWrongUse);
  EXPECT_EQ(printed({"systemd", "install", "--package"}).exit_code, kWrongUse);
  EXPECT_EQ(printed({"systemd", "print", "--root", "d"}).exit_code, kWrongUse);
  EXPECT_EQ(printed({"systemd", "reinstall"}).exit_code, kWrongUse);
  EXPECT_EQ(printed({"systemd"}).exit_code, kWrongUse);
  EXPECT_EQ(printed({"completion", "tcsh"}).exit_code, kWrongUse);
}

TEST(Cli, AnUnknownVerbNamesTheNearestOne) {
  const Printed said = printed({"sevre"});
  EXPECT_EQ(said.exit_code, kWrongUse);
  EXPECT_EQ(said.err, "drover: unknown verb 'sevre'; did you mean serve?\nTry: drover --help\n");
  EXPECT_EQ(printed({"xyzzy"}).err, "drover: unknown verb 'xyzzy'\nTry: drover --help\n");
}

TEST(Cli, AnUnknownOptionNamesTheNearestOne) {
  const Printed said = printed({"serve", "--backends", "http://a:1"});
  EXPECT_EQ(said.exit_code, kWrongUse);
  EXPECT_EQ(said.err,
            "drover: unknown option '--backends'; did you mean --backend?\n"
            "Try: drover serve --help\n");
}

TEST(Cli, WrongUseIsExitCodeTwo) {
  EXPECT_EQ(printed({"serve", "--admin"}).exit_code, kWrongUse);
  EXPECT_EQ(printed({"demo", "--seconds", "3"}).exit_code, kWrongUse);
  EXPECT_EQ(printed({"serve", "extra"}).exit_code, kWrongUse);
  EXPECT_EQ(printed({"serve", "--backend", "http://a:1", "http://b:1"}).exit_code, kWrongUse);
  EXPECT_EQ(printed({"serve", "check"}).exit_code, kWrongUse);
  EXPECT_EQ(printed({"--nope"}).exit_code, kWrongUse);
}

TEST(Cli, NothingAtAllShowsTheHelp) {
  const Printed said = printed({});
  EXPECT_EQ(said.exit_code, kWrongUse);
  EXPECT_NE(said.err.find("serve"), std::string::npos);
}

TEST(Cli, ModelsTakesAnActionAndNames) {
  using Action = ModelsCommand::Action;
  EXPECT_EQ(command<ModelsCommand>({"models", "list", "--json"}).output, Output::kJson);
  const auto pull = command<ModelsCommand>({"models", "pull", "a", "b:1", "--admin", "h:1"});
  EXPECT_EQ(pull.action, Action::kPull);
  EXPECT_EQ(pull.names, (std::vector<std::string>{"a", "b:1"}));
  EXPECT_EQ(pull.config.admin, "h:1");
  EXPECT_EQ(command<ModelsCommand>({"models", "rm", "a"}).action, Action::kRemove);
  EXPECT_EQ(command<ModelsCommand>({"models", "load", "a"}).action, Action::kLoad);
  EXPECT_EQ(command<ModelsCommand>({"models", "unload", "a"}).action, Action::kUnload);
  for (const std::vector<std::string>& wrong :
       {std::vector<std::string>{"models"}, {"models", "rm"}, {"models", "explode", "a"}}) {
    EXPECT_EQ(printed(wrong).exit_code, kWrongUse);
  }
}

TEST(Cli, BackendsTakesAnActionWithItsNames) {
  using Action = BackendsCommand::Action;
  EXPECT_EQ(command<BackendsCommand>({"backends", "list", "--json"}).output, Output::kJson);
  const auto drain = command<BackendsCommand>({"backends", "drain", "gpu0", "--admin", "h:1"});
  EXPECT_EQ(drain.action, Action::kDrain);
  EXPECT_EQ(drain.names, std::vector<std::string>{"gpu0"});
  EXPECT_EQ(drain.config.admin, "h:1");
  EXPECT_EQ(command<BackendsCommand>({"backends", "undrain", "gpu0"}).action, Action::kUndrain);
  const auto restart = command<BackendsCommand>(
      {"backends", "restart", "gpu0", "gpu1", "--rolling", "--grace", "30"});
  EXPECT_EQ(restart.names, (std::vector<std::string>{"gpu0", "gpu1"}));
  EXPECT_EQ(restart.order, BackendsCommand::Order::kRolling);
  EXPECT_EQ(restart.grace_seconds, 30U);
  EXPECT_TRUE(command<BackendsCommand>({"backends", "restart", "--all"}).names.empty());
}

TEST(Cli, BackendsWithoutEnoughIsWrongUse) {
  const std::vector<std::vector<std::string>> wrong = {
      {"explain"},
      {"explain", ""},
      {"explain", "a", "b"},
      {"backends"},
      {"backends", "explode"},
      {"backends", "drain"},
      {"backends", "restart"},
      {"backends", "restart", "gpu0", "--all"},
      {"backends", "restart", "gpu0", "--grace", "x"},
  };
  for (const auto& arguments : wrong) {
    EXPECT_EQ(printed(arguments).exit_code, kWrongUse) << arguments.back();
  }
}

TEST(Cli, EveryVerbTeachesByExample) {
  for (const char* verb : {"serve", "check", "status", "backends", "gpus", "explain", "version",
                           "demo", "systemd", "completion"}) {
    const Printed said = printed({verb, "--help"});
    EXPECT_EQ(said.exit_code, kDone) << verb;
    EXPECT_NE(said.out.find("Usage: drover " + std::string(verb)), std::string::npos) << said.out;
    EXPECT_NE(said.out.find("Examples:\n  drover " + std::string(verb)), std::string::npos)
        << said.out;
  }
  EXPECT_NE(printed({"--help"}).out.find("drover serve"), std::string::npos);
}

}  // namespace
}  // namespace drover::cli
