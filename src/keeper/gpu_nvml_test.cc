// The reader with the fake driver libraries of test/fake_nvml, whose scenario changes in mid-run.

#include "keeper/gpu_nvml.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <optional>
#include <thread>

#include "keeper/gpu_watch.h"
#include "keeper/testing.h"
#include "net/testing.h"

namespace drover::keeper {
namespace {

using namespace std::chrono_literals;

std::string gpu_text(const std::string& uuid, const std::string& more = "") {
  return "gpu " + uuid +
         "\n  name NVIDIA H100 80GB HBM3\n  pci 0000:3b:00.0\n  memory_total 85520809984\n"
         "  memory_used 1000000\n  utilization 35\n  temperature 41\n  power 71234\n"
         "  power_limit 700000\n  throttle 0x41\n" +
         more;
}

class Nvml : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::setenv("FAKE_NVML_SCENARIO", folder_.path("scenario").c_str(), 1), 0);
  }
  void TearDown() override { ::unsetenv("FAKE_NVML_SCENARIO"); }

  void scenario(const std::string& text) { folder_.write("scenario", text); }
  NvmlOptions options(const char* library = FAKE_NVML) const {
    return {.library = library, .sys_root = folder_.path("sys"), .readings_between_tries = 2};
  }

  testing::Folder folder_;
};

TEST_F(Nvml, AnAbsentLibraryIsAProblemWhenItWasNamed) {
  NvmlReader reader(options("/nowhere/libnvidia-ml.so.1"));
  const GpuReport report = reader.read();
  EXPECT_EQ(report.source, "none");
  ASSERT_EQ(report.problems.size(), 1U);
  EXPECT_NE(report.problems[0].find("install the NVIDIA driver"), std::string::npos);
}

TEST_F(Nvml, AnAbsentLibraryIsAProblemWhenACardIsThere) {
  folder_.write("sys/bus/pci/devices/0000:3b:00.0/vendor", "0x10de\n");
  folder_.write("sys/bus/pci/devices/0000:3b:00.0/class", "0x030200\n");
  NvmlReader reader({.sys_root = folder_.path("sys")});
  const GpuReport report = reader.read();
  if (report.source != "none") GTEST_SKIP() << "this machine has the library";
  ASSERT_EQ(report.problems.size(), 1U);
  EXPECT_TRUE(report.problems[0].starts_with("an NVIDIA GPU is at 0000:3b:00.0, but"))
      << report.problems[0];
}

TEST_F(Nvml, AMachineWithoutCardAndLibraryHasNoProblem) {
  NvmlReader reader({.sys_root = folder_.path("sys")});
  const GpuReport report = reader.read();
  if (report.source != "none") GTEST_SKIP() << "this machine has the library";
  EXPECT_EQ(report, GpuReport{});
}

TEST_F(Nvml, ALibraryThatIsSomethingElseIsAProblem) {
  NvmlReader reader(options("libc.so.6"));
  const GpuReport report = reader.read();
  ASSERT_EQ(report.problems.size(), 1U);
  EXPECT_NE(report.problems[0].find("lacks functions"), std::string::npos);
}

TEST_F(Nvml, ADriverWithoutGpusIsEmpty) {
  scenario("driver 550.54.14\n");
  NvmlReader reader(options());
  const GpuReport report = reader.read();
  EXPECT_EQ(report.source, "nvml 550.54.14");
  EXPECT_TRUE(report.gpus.empty());
  EXPECT_TRUE(report.problems.empty());
}

TEST_F(Nvml, OneGpuWithEveryReading) {
  scenario("driver 550.54.14\n" +
           gpu_text("GPU-a", "  process 4711 5000000\n  process 4712 n/a\n"));
  NvmlReader reader(options());
  const GpuReport report = reader.read();
  ASSERT_EQ(report.gpus.size(), 1U);
  Gpu expected{.index = 0, .uuid = "GPU-a", .name = "NVIDIA H100 80GB HBM3"};
  expected.pci = "0000:3b:00.0";
  expected.driver = "550.54.14";
  expected.memory_total_bytes = 85520809984;
  expected.memory_used_bytes = 6000000;
  expected.utilization = 0.35;
  expected.temperature_celsius = 41;
  expected.power_watts = 71.234;
  expected.power_limit_watts = 700;
  expected.throttle_reasons = {"hw_thermal"};
  expected.processes = {{4711, 5000000}, {4712, std::nullopt}};
  EXPECT_EQ(report.gpus[0], expected);
}

TEST_F(Nvml, WhatTheDriverDoesNotSayIsAbsent) {
  scenario("gpu GPU-a\n");
  NvmlReader reader(options());
  const Gpu gpu = reader.read().gpus.at(0);
  EXPECT_EQ(gpu.condition, GpuCondition::kWell);
  EXPECT_EQ(gpu.memory_total_bytes, std::nullopt);
  EXPECT_EQ(gpu.utilization, std::nullopt);
  EXPECT_EQ(gpu.power_watts, std::nullopt);
  EXPECT_EQ(gpu.processes, std::vector<GpuProcess>{}) << "a list that is empty, not absent";
}

TEST_F(Nvml, EightGpusInTheDriversOrder) {
  std::string text;
  for (int i = 0; i < 8; ++i) text += gpu_text("GPU-" + std::to_string(7 - i));
  scenario(text);
  NvmlReader reader(options());
  const GpuReport report = reader.read();
  ASSERT_EQ(report.gpus.size(), 8U);
  for (unsigned i = 0; i < 8; ++i) {
    EXPECT_EQ(report.gpus[i].index, i);
    EXPECT_EQ(report.gpus[i].uuid, "GPU-" + std::to_string(7 - i));
  }
}

TEST_F(Nvml, SevenMigSlicesAreDevicesAndTheirGpuIsNone) {
  std::string text = gpu_text("GPU-mig", "  mig\n  xid 31 3\n  xid 79\n");
  for (int i = 0; i < 7; ++i) {
    text += "slice MIG-" + std::to_string(i) + "\n  name H100 MIG 1g.10gb\n  memory_total 100\n" +
            "  instance " + std::to_string(i) + "\n  process " + std::to_string(100 + i) + " 5\n";
  }
  scenario(text + gpu_text("GPU-b"));
  NvmlReader reader(options());
  const GpuReport report = reader.read();
  ASSERT_EQ(report.gpus.size(), 8U);
  const Gpu& slice = report.gpus[3];
  EXPECT_EQ(slice.uuid, "MIG-3");
  EXPECT_EQ(slice.name, "H100 MIG 1g.10gb");
  EXPECT_EQ(slice.mig_profile, "GPU-mig slice 3");
  EXPECT_EQ(slice.memory_total_bytes, 100U);
  EXPECT_EQ(slice.memory_used_bytes, 5U);
  EXPECT_EQ(slice.utilization, std::nullopt);
  EXPECT_EQ(slice.power_watts, std::nullopt) << "it is the whole chip's";
  EXPECT_EQ(slice.temperature_celsius, 41);
  EXPECT_EQ(slice.processes, (std::vector<GpuProcess>{{103, 5}}));
  const std::map<std::uint32_t, std::uint64_t> of_all = {{79, 1}};
  const std::map<std::uint32_t, std::uint64_t> of_three = {{31, 1}, {79, 1}};
  EXPECT_EQ(slice.xid_errors, of_three);
  EXPECT_EQ(report.gpus[2].xid_errors, of_all);
  EXPECT_EQ(report.gpus[7].uuid, "GPU-b");
  EXPECT_EQ(report.gpus[7].index, 1U);
}

TEST_F(Nvml, MigWithoutSlicesIsAProblemWithItsRemedy) {
  scenario(gpu_text("GPU-a", "  mig\n"));
  NvmlReader reader(options());
  const GpuReport report = reader.read();
  EXPECT_TRUE(report.gpus.empty());
  ASSERT_EQ(report.problems.size(), 1U);
  EXPECT_TRUE(report.problems[0].starts_with("GPU-a has MIG on and no slices"));
}

TEST_F(Nvml, TheOldestSymbolsAreEnough) {
  scenario("driver 295.40\n" + gpu_text("GPU-a", "  process 4711 5\n  xid 31\n"));
  NvmlReader reader(options(FAKE_NVML_OLD));
  const GpuReport report = reader.read();
  ASSERT_EQ(report.gpus.size(), 1U);
  const Gpu& gpu = report.gpus[0];
  EXPECT_EQ(gpu.uuid, "GPU-a");
  EXPECT_EQ(gpu.pci, "0000:3b:00.0");
  EXPECT_EQ(gpu.memory_used_bytes, 1000005U);
  EXPECT_EQ(gpu.processes, (std::vector<GpuProcess>{{4711, 5}}));
  EXPECT_EQ(gpu.power_limit_watts, std::nullopt);
  EXPECT_EQ(gpu.xid_errors.at(31), 1U);
}

TEST_F(Nvml, AnInitThatFailsIsASentenceAndIsTriedAgain) {
  scenario("init 9\n" + gpu_text("GPU-a"));
  NvmlReader reader(options());
  for (int i = 0; i < 3; ++i) {
    const GpuReport report = reader.read();
    EXPECT_EQ(report.source, "none");
    ASSERT_EQ(report.problems.size(), 1U);
    EXPECT_TRUE(report.problems[0].starts_with("the NVIDIA driver is not loaded: load it with"));
  }
  scenario(gpu_text("GPU-a"));
  EXPECT_EQ(reader.read().gpus.size(), 1U) << "the fourth reading tries again";
}

TEST_F(Nvml, EveryErrorOfTheInitNamesARemedy) {
  const std::vector<std::pair<int, std::string>> kCases = {
      {4, "may not be used by this user"},
      {17, "DeviceAllow"},
      {18, "different versions"},
      {999, "answers with error 999 (Said by the fake)"}};
  for (const auto& [code, words] : kCases) {
    scenario("init " + std::to_string(code) + "\n");
    NvmlReader reader(options());
    const GpuReport report = reader.read();
    ASSERT_EQ(report.problems.size(), 1U);
    EXPECT_NE(report.problems[0].find(words), std::string::npos) << report.problems[0];
  }
}

TEST_F(Nvml, AGpuLostInMidRunIsToldAndComesBack) {
  scenario(gpu_text("GPU-a") + gpu_text("GPU-b"));
  NvmlReader reader(options());
  EXPECT_EQ(reader.read().gpus.size(), 2U);
  scenario(gpu_text("GPU-a") + gpu_text("GPU-b", "  error 15\n"));
  for (int i = 0; i < 10; ++i) {
    const GpuReport report = reader.read();
    ASSERT_EQ(report.gpus.size(), 2U);
    EXPECT_EQ(report.gpus[0].condition, GpuCondition::kWell);
    EXPECT_EQ(report.gpus[1].uuid, "GPU-b");
    EXPECT_EQ(report.gpus[1].condition, GpuCondition::kLost);
    EXPECT_TRUE(report.gpus[1].detail.starts_with("the GPU has fallen off the bus"));
    EXPECT_EQ(report.gpus[1].memory_used_bytes, std::nullopt) << "no reading of a lost GPU";
    EXPECT_EQ(report.problems.size(), 1U);
  }
  scenario(gpu_text("GPU-a") + gpu_text("GPU-b"));
  EXPECT_EQ(reader.read().gpus.at(1).condition, GpuCondition::kWell);
}

TEST_F(Nvml, AnIndexThatGivesNoHandleIsWhoeverWasThere) {
  scenario(gpu_text("GPU-a"));
  NvmlReader reader(options());
  reader.read();
  scenario(gpu_text("GPU-a", "  no_handle 15\n"));
  const GpuReport report = reader.read();
  ASSERT_EQ(report.gpus.size(), 1U);
  EXPECT_EQ(report.gpus[0].uuid, "GPU-a");
  EXPECT_EQ(report.gpus[0].condition, GpuCondition::kLost);
  EXPECT_TRUE(report.problems.at(0).starts_with("NVIDIA GPU 0: the GPU has fallen off the bus"));
}

TEST_F(Nvml, AnotherErrorIsAFailureOfThatDeviceOnly) {
  scenario(gpu_text("GPU-a", "  error 16\n") + gpu_text("GPU-b"));
  NvmlReader reader(options());
  const GpuReport report = reader.read();
  EXPECT_EQ(report.gpus.at(0).condition, GpuCondition::kFailed);
  EXPECT_TRUE(report.gpus.at(0).detail.starts_with("the GPU wants a reset"));
  EXPECT_EQ(report.gpus.at(1).condition, GpuCondition::kWell);
}

// The library outlives the readers of a test program, and with it what it has told of a GPU.
TEST_F(Nvml, XidErrorsAreCountedByNumberAndOutliveASession) {
  scenario(gpu_text("GPU-xid", "  xid 31\n  xid 31\n"));
  NvmlReader reader(options());
  EXPECT_EQ(reader.read().gpus.at(0).xid_errors.at(31), 2U);
  EXPECT_EQ(reader.read().gpus.at(0).xid_errors.at(31), 2U) << "told once";
  scenario(gpu_text("GPU-xid", "  xid 31\n  xid 31\n  xid 79\n  error 15\n"));
  for (int i = 0; i < 6; ++i) reader.read();
  scenario(gpu_text("GPU-xid", "  xid 31\n  xid 31\n  xid 79\n"));
  const Gpu gpu = reader.read().gpus.at(0);
  EXPECT_EQ(gpu.condition, GpuCondition::kWell);
  EXPECT_EQ(gpu.xid_errors.at(31), 2U);
  EXPECT_EQ(gpu.xid_errors.at(79), 1U);
}

TEST_F(Nvml, AfterARenumberingTheUuidIsTheIdentity) {
  scenario(gpu_text("GPU-a", "  process 1 10\n") + gpu_text("GPU-b", "  process 2 20\n"));
  std::vector<std::unique_ptr<GpuReader>> one;
  one.push_back(std::make_unique<NvmlReader>(options()));
  JoinedGpus joined(std::move(one));
  EXPECT_EQ(joined.read().gpus.at(0).uuid, "GPU-a");
  scenario(gpu_text("GPU-b", "  process 2 20\n") + gpu_text("GPU-a", "  process 1 10\n"));
  const GpuReport report = joined.read();
  ASSERT_EQ(report.gpus.size(), 2U) << "nobody was lost, nobody is new";
  EXPECT_EQ(report.gpus[1].uuid, "GPU-a");
  EXPECT_EQ(report.gpus[1].index, 1U);
  EXPECT_EQ(report.gpus[1].processes, (std::vector<GpuProcess>{{1, 10}}));
}

TEST_F(Nvml, AGpuThatIsNotListedAnyMoreIsLostUntilItIsListedAgain) {
  scenario(gpu_text("GPU-a") + gpu_text("GPU-b"));
  std::vector<std::unique_ptr<GpuReader>> one;
  one.push_back(std::make_unique<NvmlReader>(options()));
  JoinedGpus joined(std::move(one));
  joined.read();
  scenario(gpu_text("GPU-b"));
  const GpuReport report = joined.read();
  ASSERT_EQ(report.gpus.size(), 2U);
  const Gpu& lost = report.gpus[0].uuid == "GPU-a" ? report.gpus[0] : report.gpus[1];
  EXPECT_EQ(lost.condition, GpuCondition::kLost);
  EXPECT_EQ(lost.utilization, std::nullopt);
  scenario("init 9\n");
  for (int i = 0; i < 4; ++i) joined.read();
  for (const Gpu& gpu : joined.read().gpus) {
    EXPECT_TRUE(gpu.condition == GpuCondition::kLost || gpu.uuid == "GPU-b");
  }
  scenario(gpu_text("GPU-a") + gpu_text("GPU-b"));
  for (int i = 0; i < 4; ++i) joined.read();
  for (const Gpu& gpu : joined.read().gpus) EXPECT_EQ(gpu.condition, GpuCondition::kWell);
}

TEST_F(Nvml, ProcessesInTheFolderHoldMemoryWhileTheyLive) {
  scenario("processes_dir " + folder_.path("held") + "\n" + gpu_text("GPU-a"));
  folder_.write("held/GPU-a/" + std::to_string(::getpid()), "12345\n");
  folder_.write("held/GPU-a/2000000000", "99\n");  // above every pid that Linux gives
  NvmlReader reader(options());
  const Gpu gpu = reader.read().gpus.at(0);
  EXPECT_EQ(gpu.processes, (std::vector<GpuProcess>{{::getpid(), 12345}}));
  EXPECT_EQ(gpu.memory_used_bytes, 1012345U);
}

TEST_F(Nvml, ListsOfProcessesAreNotReadFromDriversThatGarbleThem) {
  for (const auto& [driver, known] : std::vector<std::pair<std::string, bool>>{
           {"535.54.03", false}, {"535.86.10", true}, {"535.30.00", true}, {"550.54", true}}) {
    scenario("driver " + driver + "\n" + gpu_text("GPU-a"));
    NvmlReader reader(options());
    EXPECT_EQ(reader.read().gpus.at(0).processes.has_value(), known) << driver;
  }
}

TEST_F(Nvml, MoreProcessesThanExpectedAreAllListed) {
  std::string processes;
  for (int pid = 1; pid <= 100; ++pid) processes += "  process " + std::to_string(pid) + " 1\n";
  scenario(gpu_text("GPU-a", processes));
  NvmlReader reader(options());
  EXPECT_EQ(reader.read().gpus.at(0).processes->size(), 100U);
}

TEST_F(Nvml, ACallThatHangsMakesTheDevicesSilentAndTheyRecover) {
  scenario("block " + folder_.path("block") + "\n" + gpu_text("GPU-a"));
  net::testing::ManualLoop loop;
  std::vector<std::shared_ptr<const GpuReport>> reports;
  GpuWatch watch(loop, std::make_unique<NvmlReader>(options()), {},
                 [&](std::shared_ptr<const GpuReport> report) { reports.push_back(report); });
  // What never comes is ended by the time limit of the test program.
  const auto await = [&](std::size_t count) {
    while (reports.size() < count) {
      std::this_thread::yield();
      loop.settle();
    }
  };
  await(1);
  EXPECT_EQ(reports.back()->gpus.at(0).condition, GpuCondition::kWell);
  folder_.write("block", "");
  loop.advance(1s);
  loop.advance(30s);  // of the loop's time: the driver hangs
  ASSERT_EQ(reports.size(), 2U);
  EXPECT_EQ(reports.back()->gpus.at(0).condition, GpuCondition::kSilent);
  folder_.remove("block");
  await(3);
  EXPECT_EQ(reports.back()->gpus.at(0).condition, GpuCondition::kWell);
}

}  // namespace
}  // namespace drover::keeper
