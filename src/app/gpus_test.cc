#include "app/gpus.h"

#include <gtest/gtest.h>
#include <simdjson.h>
#include <unistd.h>

#include <fstream>

#include "app/gpu_table.h"
#include "app/status_table.h"
#include "app/verbs.h"

namespace drover::app {
namespace {

// As the admin side writes it, with one GPU well and one lost.
constexpr char kStatus[] =
    R"({"version":"0.1.0","policy":"least_loaded","listen":["127.0.0.1:11434"],)"
    R"("uptime_seconds":60,"instances":[)"
    R"({"name":"gpu0","health":"up","reason":"","since_seconds":9,"in_flight":0,"served":0,)"
    R"("failed":0,"loaded":[],"process":{"state":"running","reason":"","pid":4700,"restarts":2,)"
    R"("cpu_seconds":90.5,"resident_bytes":1073741824,"open_files":12,"pinned_well":true,)"
    R"("pinning_detail":""}},)"
    R"({"name":"gpu1","health":"down","reason":"gone","since_seconds":9,"in_flight":0,)"
    R"("served":0,"failed":0,"loaded":[],"process":{"state":"waiting","reason":"exit code 2",)"
    R"("pid":0,"restarts":3,"cpu_seconds":0,"resident_bytes":0,"open_files":0,)"
    R"("pinned_well":false,"pinning_detail":"runner 4711 is elsewhere"}},)"
    R"({"name":"foreign","health":"up","reason":"","since_seconds":9,"process":null}],)"
    R"("gpus":{"source":"nvml 550.54","problems":["something \u001b[2J"],"devices":[)"
    R"({"index":0,"uuid":"GPU-a","name":"H100","driver":"550.54","mig":"","condition":"well",)"
    R"("detail":"","memory_total_bytes":85899345920,"memory_used_bytes":5368709120,)"
    R"("utilization":0.35,"temperature_celsius":41,"power_watts":71.2,"power_limit_watts":700,)"
    R"("throttle_reasons":["hw_thermal"],"xid_errors":{"31":1,"79":2},)"
    R"("processes":[{"pid":4711,"memory_bytes":5368709120},{"pid":4712,"memory_bytes":null}],)"
    R"("instances":["gpu0"]},)"
    R"({"index":1,"uuid":"GPU-b","name":"H100","driver":"550.54","mig":"","condition":"lost",)"
    R"("detail":"it fell off","memory_total_bytes":null,"memory_used_bytes":null,)"
    R"("utilization":null,"temperature_celsius":null,"power_watts":null,)"
    R"("power_limit_watts":null,"throttle_reasons":[],"xid_errors":{},"processes":null,)"
    R"("instances":["gpu1","foreign"]}]}})";

// Nobody listens at port 1, and no file of this machine is read.
config::Environment environment(const std::string& library) {
  return [library](std::string_view name) -> std::optional<std::string> {
    if (name == "XDG_CONFIG_HOME") return "/nonexistent";
    if (name == "DROVER_NVML_LIBRARY") return library;
    return std::nullopt;
  };
}

// Found by the default admin port otherwise: a configuration whose admin address is closed.
std::string closed_admin_file() {
  const std::string path = testing::TempDir() + "gpus_test.yaml";
  std::ofstream(path) << "admin: 127.0.0.1:1\n";
  return path;
}

cli::Printed run_here(const std::string& scenario, cli::Output output = cli::Output::kText,
                      const std::string& library = FAKE_NVML) {
  const std::string path = testing::TempDir() + "gpus_test.scenario";
  std::ofstream(path) << scenario;
  ::setenv("FAKE_NVML_SCENARIO", path.c_str(), 1);
  cli::Printed said =
      run_gpus({.config = {.file = closed_admin_file()}, .output = output}, environment(library));
  ::unsetenv("FAKE_NVML_SCENARIO");
  return said;
}

TEST(GpuSheet, ShowsDevicesWhoUsesThemAndWhatIsWrong) {
  simdjson::dom::parser parser;
  const simdjson::dom::element status = parser.parse(std::string(kStatus));
  const auto name_of = [](std::int64_t pid) { return std::string(pid == 4711 ? "ollama" : ""); };
  EXPECT_EQ(
      gpu_sheet(status["gpus"], &status, name_of),
      "GPU  UUID   NAME  STATE              MEMORY               BUSY  TEMP  POWER          "
      "SLOWED BY   DRIVER  MIG  INSTANCES\n"
      "0    GPU-a  H100  well               5.0 GiB of 80.0 GiB  35 %  41 C  71 W of 700 W  "
      "hw_thermal  550.54  -    gpu0 (well)\n"
      "1    GPU-b  H100  lost: it fell off  -                    -     -     -              "
      "-           550.54  -    gpu1 (WRONG: runner 4711 is elsewhere), foreign (not proven)\n"
      "\n"
      "GPU  UUID   PID   PROCESS  HOLDS\n"
      "0    GPU-a  4711  ollama   5.0 GiB\n"
      "0    GPU-a  4712  -        -\n"
      "\n"
      "GPU 0: XID 31 happened once\n"
      "GPU 0: XID 79 happened 2 times\n"
      "problem: something \\x1b[2J\n");
}

TEST(GpuSheet, StatusShowsProcessesAndDevicesBelowTheInstances) {
  const Result<std::string> table = status_table(kStatus);
  ASSERT_TRUE(table.ok());
  EXPECT_NE(table->find("\nPROCESS OF  STATE    PID   RESTARTS  CPU  MEMORY   FILES  PINNED        "
                        "            WHY\n"
                        "gpu0        running  4700  2         1m   1.0 GiB  12     well          "
                        "            -\n"
                        "gpu1        waiting  0     3         0s   0 MiB    0      "
                        "runner 4711 is elsewhere  exit code 2\n"),
            std::string::npos)
      << *table;
  EXPECT_NE(table->find("\nGPU  NAME  STATE              MEMORY               BUSY"),
            std::string::npos)
      << *table;
}

TEST(Gpus, AreReadHereWhenNoDroverRuns) {
  const cli::Printed said = run_here("driver 550.54\ngpu GPU-a\n  name H100\n  process " +
                                     std::to_string(::getpid()) + " 1048576\n");
  EXPECT_EQ(said.exit_code, cli::kDone) << said.err;
  EXPECT_NE(said.out.find("GPU-a  H100  well"), std::string::npos) << said.out;
  EXPECT_NE(said.out.find("app_test  1 MiB"), std::string::npos) << said.out;
}

TEST(Gpus, JsonIsTheSameAsInAStatus) {
  const cli::Printed said = run_here("driver 550.54\ngpu GPU-a\n", cli::Output::kJson);
  simdjson::dom::parser parser;
  const simdjson::dom::element gpus = parser.parse(said.out);
  EXPECT_EQ(gpus["devices"].at(0)["uuid"].get_string().value(), "GPU-a");
  EXPECT_TRUE(gpus["devices"].at(0)["utilization"].is_null());
}

TEST(Gpus, WithoutAGpuThatIsSaidAndNoFailure) {
  const cli::Printed said = run_here("driver 550.54\n");
  if (said.out.find("amdgpu") != std::string::npos) GTEST_SKIP() << "this machine has one";
  EXPECT_EQ(said.exit_code, cli::kDone);
  EXPECT_TRUE(said.out.starts_with("No GPU with memory of its own was found")) << said.out;
}

TEST(Gpus, ProblemsAreShownWithTheirRemedy) {
  const cli::Printed said = run_here("init 18\n");
  EXPECT_EQ(said.exit_code, cli::kDone);
  EXPECT_NE(said.out.find("problem: the NVIDIA library and the loaded driver are of different "
                          "versions, as after an upgrade: reboot"),
            std::string::npos)
      << said.out;
  const cli::Printed absent = run_here("", cli::Output::kText, "/nowhere/libnvidia-ml.so.1");
  EXPECT_NE(absent.out.find("problem: /nowhere/libnvidia-ml.so.1 cannot be loaded"),
            std::string::npos)
      << absent.out;
}

TEST(Gpus, ADroverThatWasNamedAndIsNotThereIsAFailure) {
  const cli::Printed said = run_gpus({.config = {.admin = "127.0.0.1:1"}}, environment("/nowhere"));
  EXPECT_EQ(said.exit_code, cli::kFailed);
  EXPECT_NE(said.err.find("drover is not running on 127.0.0.1:1"), std::string::npos) << said.err;
}

}  // namespace
}  // namespace drover::app
