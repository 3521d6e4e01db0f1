#include "keeper/pinning.h"

#include <gtest/gtest.h>

namespace drover::keeper {
namespace {

constexpr std::uint64_t kGiB = 1ULL << 30;

Gpu gpu(const std::string& uuid, std::vector<GpuProcess> processes) {
  Gpu made{.uuid = uuid};
  made.processes = std::move(processes);
  return made;
}

const std::vector<PinnedInstance> kTwo = {{"gpu0", {"GPU-a"}, {100, 4711}},
                                          {"gpu1", {"GPU-b"}, {200, 4712}}};

TEST(Pinning, IsWellWhenEveryRunnerIsOnItsOwnGpu) {
  const GpuReport report{"nvml", {gpu("GPU-a", {{4711, kGiB}}), gpu("GPU-b", {{4712, kGiB}})}, {}};
  const auto answers = check_pinning(kTwo, report);
  EXPECT_EQ(answers[0].pinned_well, true);
  EXPECT_EQ(answers[1].pinned_well, true);
  EXPECT_EQ(answers[0].detail, "");
}

TEST(Pinning, NamesTheRunnerTheMemoryAndWhoseGpuItIs) {
  const GpuReport report{
      "nvml",
      {gpu("GPU-a", {{4711, kGiB}}), gpu("GPU-b", {{4711, 5'476'083'302}, {4712, kGiB}})},
      {}};
  const auto answers = check_pinning(kTwo, report);
  EXPECT_EQ(answers[0].pinned_well, false);
  EXPECT_EQ(answers[0].detail, "runner 4711 of gpu0 holds 5.1 GiB on GPU-b, which belongs to gpu1");
  EXPECT_EQ(answers[1].pinned_well, true) << "the guest is not the host's fault";
}

TEST(Pinning, IsUnknownWhileNothingIsOnAnyGpu) {
  const GpuReport report{"nvml", {gpu("GPU-a", {{999, kGiB}}), gpu("GPU-b", {})}, {}};
  EXPECT_EQ(check_pinning(kTwo, report)[0].pinned_well, std::nullopt);
  EXPECT_EQ(check_pinning(kTwo, {})[0].pinned_well, std::nullopt);
}

TEST(Pinning, IsUnknownWhenAListOfProcessesIsMissing) {
  GpuReport report{"nvml", {gpu("GPU-a", {{4711, kGiB}}), gpu("GPU-b", {})}, {}};
  report.gpus[1].processes.reset();
  EXPECT_EQ(check_pinning(kTwo, report)[0].pinned_well, std::nullopt);
  report.gpus[1].condition = GpuCondition::kLost;
  EXPECT_EQ(check_pinning(kTwo, report)[0].pinned_well, true) << "nothing can be there";
}

TEST(Pinning, SaysWhatIsWrongEvenWhenAListIsMissing) {
  GpuReport report{"nvml", {gpu("GPU-a", {}), gpu("GPU-b", {{4711, std::nullopt}})}, {}};
  report.gpus[0].processes.reset();
  EXPECT_EQ(check_pinning(kTwo, report)[0].detail,
            "runner 4711 of gpu0 holds memory on GPU-b, which belongs to gpu1");
}

TEST(Pinning, AnInstanceThatSpansEverythingMayBeAnywhere) {
  std::vector<PinnedInstance> three = kTwo;
  three.push_back({"spanning", {"GPU-a", "GPU-b"}, {300}});
  const GpuReport report{
      "nvml", {gpu("GPU-a", {{300, kGiB}}), gpu("GPU-b", {{300, kGiB}, {4711, 3 << 20}})}, {}};
  const auto answers = check_pinning(three, report);
  EXPECT_EQ(answers[2].pinned_well, true);
  EXPECT_EQ(answers[0].detail, "runner 4711 of gpu0 holds 3 MiB on GPU-b, which belongs to gpu1");
}

TEST(Pinning, NothingIsAskedOfAnInstanceWithoutGpus) {
  const GpuReport report{"nvml", {gpu("GPU-a", {{7, kGiB}})}, {}};
  EXPECT_EQ(check_pinning({{"cpu", {}, {7}}}, report)[0].pinned_well, std::nullopt);
}

}  // namespace
}  // namespace drover::keeper
