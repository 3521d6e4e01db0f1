// The reader with a made /sys and /proc.

#include "keeper/gpu_sysfs.h"

#include <gtest/gtest.h>

#include "keeper/testing.h"

namespace drover::keeper {
namespace {

constexpr std::uint64_t kGiB = 1ULL << 30;
constexpr char kAmdPci[] = "0000:03:00.0";
constexpr char kIntelPci[] = "0000:04:00.0";

class Sysfs : public ::testing::Test {
 protected:
  // A card as the kernel lays it out: its device is a link into the tree of buses.
  void card(int number, const std::string& pci, const std::string& vendor,
            const std::string& driver) {
    const std::string device = "sys/devices/" + pci + "/";
    folder_.write(device + "vendor", vendor + "\n");
    folder_.write(device + "device", "0x744c\n");
    folder_.link(device + "driver", "../../bus/pci/drivers/" + driver);
    folder_.link("sys/class/drm/card" + std::to_string(number) + "/device",
                 "../../../devices/" + pci);
    folder_.write("sys/class/drm/card" + std::to_string(number) + "-DP-1/status", "connected\n");
  }
  void amd(int number, const std::string& pci, std::uint64_t total) {
    card(number, pci, "0x1002", "amdgpu");
    const std::string device = "sys/devices/" + pci + "/";
    folder_.write(device + "mem_info_vram_total", std::to_string(total) + "\n");
    folder_.write(device + "mem_info_vram_used", std::to_string(kGiB) + "\n");
    folder_.write(device + "gpu_busy_percent", "35\n");
    folder_.write(device + "unique_id", "5d2b1c0f3e4a6978\n");
    folder_.write(device + "hwmon/hwmon3/temp1_input", "41500\n");
    folder_.write(device + "hwmon/hwmon3/power1_average", "71000000\n");
    folder_.write(device + "hwmon/hwmon3/power1_cap", "300000000\n");
  }
  void open_file(int pid, int fd, const std::string& file, const std::string& info) {
    const std::string process = "proc/" + std::to_string(pid) + "/";
    folder_.link(process + "fd/" + std::to_string(fd), file);
    folder_.write(process + "fdinfo/" + std::to_string(fd), info);
  }
  GpuReport read() {
    SysfsReader reader(folder_.path("sys"), folder_.path("proc"));
    return reader.read();
  }

  testing::Folder folder_;
};

TEST_F(Sysfs, NothingThereIsNoProblem) {
  EXPECT_EQ(read(), GpuReport{});
  EXPECT_EQ(SysfsReader("/nowhere", "/nowhere").read(), GpuReport{});
}

TEST_F(Sysfs, AnAmdCardWithEveryReading) {
  amd(1, kAmdPci, 24 * kGiB);
  const GpuReport report = read();
  EXPECT_EQ(report.source, "sysfs");
  ASSERT_EQ(report.gpus.size(), 1U);
  Gpu expected{.index = 1, .uuid = "GPU-5d2b1c0f3e4a6978", .name = "AMD GPU 1002:744c"};
  expected.vendor = GpuVendor::kAmd;
  expected.pci = kAmdPci;
  expected.driver = "amdgpu";
  expected.memory_total_bytes = 24 * kGiB;
  expected.memory_used_bytes = kGiB;
  expected.utilization = 0.35;
  expected.temperature_celsius = 41.5;
  expected.power_watts = 71;
  expected.power_limit_watts = 300;
  expected.processes.emplace();
  EXPECT_EQ(report.gpus[0], expected);
}

TEST_F(Sysfs, AnAmdCardThatSleepsOrNamesItself) {
  amd(0, kAmdPci, 24 * kGiB);
  folder_.write(std::string("sys/devices/") + kAmdPci + "/product_name", "Instinct MI210\n");
  folder_.remove(std::string("sys/devices/") + kAmdPci + "/gpu_busy_percent");
  folder_.remove(std::string("sys/devices/") + kAmdPci + "/unique_id");
  const Gpu gpu = read().gpus.at(0);
  EXPECT_EQ(gpu.name, "Instinct MI210");
  EXPECT_EQ(gpu.utilization, std::nullopt);
  EXPECT_EQ(gpu.uuid, kAmdPci) << "what it is recognised by without an id of its own";
}

TEST_F(Sysfs, IntegratedGpusAreLeftOut) {
  amd(0, kAmdPci, kGiB / 2);
  card(1, "0000:00:02.0", "0x8086", "i915");
  card(2, "0000:05:00.0", "0x1a03", "ast");
  EXPECT_TRUE(read().gpus.empty());
}

TEST_F(Sysfs, AnIntelCardSaysWhatItsFilesSay) {
  card(0, kIntelPci, "0x8086", "xe");
  const std::string device = std::string("sys/devices/") + kIntelPci + "/";
  folder_.write(device + "tile0/physical_vram_size_bytes", "17179869184\n");
  folder_.write(device + "hwmon/hwmon1/temp2_input", "38000\n");
  open_file(7, 3, "/dev/dri/renderD128",
            "drm-driver:\txe\ndrm-pdev:\t0000:04:00.0\ndrm-client-id:\t1\n"
            "drm-resident-vram0:\t2 GiB\n");
  const Gpu gpu = read().gpus.at(0);
  EXPECT_EQ(gpu.vendor, GpuVendor::kIntel);
  EXPECT_EQ(gpu.uuid, kIntelPci);
  EXPECT_EQ(gpu.driver, "xe");
  EXPECT_EQ(gpu.memory_total_bytes, 16 * kGiB);
  EXPECT_EQ(gpu.memory_used_bytes, 2 * kGiB) << "what its processes hold";
  EXPECT_EQ(gpu.temperature_celsius, 38);
  EXPECT_EQ(gpu.utilization, std::nullopt);
  EXPECT_EQ(gpu.processes, (std::vector<GpuProcess>{{7, 2 * kGiB}}));
}

TEST_F(Sysfs, WhatProcessesHoldIsCountedOncePerClient) {
  amd(0, kAmdPci, 24 * kGiB);
  const std::string one =
      "drm-pdev:\t0000:03:00.0\ndrm-client-id:\t1\ndrm-memory-vram:\t1024 KiB\n";
  const std::string two =
      "drm-pdev:\t0000:03:00.0\ndrm-client-id:\t2\ndrm-memory-vram:\t2048 KiB\n";
  open_file(10, 3, "/dev/dri/renderD128", one);
  open_file(10, 4, "/dev/dri/renderD128", one);
  open_file(10, 5, "/dev/dri/renderD128", two);
  open_file(10, 6, "/home/somebody/notes", two);
  open_file(11, 3, "/dev/dri/card1", "pos:\t0\n");
  EXPECT_EQ(read().gpus.at(0).processes, (std::vector<GpuProcess>{{10, 3 << 20}}));
}

TEST_F(Sysfs, ProgramsOfRocmAreFoundByTheirOwnFolder) {
  amd(0, kAmdPci, 24 * kGiB);
  const std::string nodes = "sys/class/kfd/kfd/topology/nodes/";
  folder_.write(nodes + "0/gpu_id", "0\n");
  folder_.write(nodes + "1/gpu_id", "51234\n");
  folder_.write(nodes + "1/properties", "simd_count 192\nlocation_id 768\ndomain 0\n");
  folder_.write("sys/class/kfd/kfd/proc/4711/vram_51234", "5368709120\n");
  folder_.write("sys/class/kfd/kfd/proc/4712/vram_51234", "0\n");
  EXPECT_EQ(read().gpus.at(0).processes, (std::vector<GpuProcess>{{4711, 5 * kGiB}}));
}

TEST(Fdinfo, WhatIsNoGpuIsNothing) {
  EXPECT_FALSE(parse_fdinfo(""));
  EXPECT_FALSE(parse_fdinfo("pos:\t0\nflags:\t02\n"));
  EXPECT_FALSE(parse_fdinfo("drm-pdev:\t0000:03:00.0\n")) << "it does not say what it holds";
  EXPECT_FALSE(parse_fdinfo("drm-memory-vram:\t1 KiB\n")) << "of which GPU?";
}

TEST(Fdinfo, UnitsAndTheirAbsence) {
  const auto bytes = [](const std::string& value) {
    return parse_fdinfo("drm-pdev: p\ndrm-memory-vram: " + value)->vram_bytes;
  };
  EXPECT_EQ(bytes("7"), 7U);
  EXPECT_EQ(bytes("7 KiB"), 7U << 10);
  EXPECT_EQ(bytes("7 MiB"), 7U << 20);
  EXPECT_EQ(bytes("18446744073709551615 KiB"), 0U) << "no number of bytes";
  EXPECT_EQ(bytes("many"), 0U);
}

TEST(NvidiaCard, IsADisplayControllerOfNvidia) {
  const testing::Folder folder;
  EXPECT_EQ(nvidia_card(folder.path("sys")), std::nullopt);
  const std::string bus = "sys/bus/pci/devices/";
  folder.write(bus + "0000:01:00.1/vendor", "0x10de\n");
  folder.write(bus + "0000:01:00.1/class", "0x040300\n");
  EXPECT_EQ(nvidia_card(folder.path("sys")), std::nullopt) << "its sound";
  folder.write(bus + "0000:02:00.0/vendor", "0x10de\n");
  folder.write(bus + "0000:02:00.0/class", "0x030000\n");
  EXPECT_EQ(nvidia_card(folder.path("sys")), "0000:02:00.0");
}

}  // namespace
}  // namespace drover::keeper
