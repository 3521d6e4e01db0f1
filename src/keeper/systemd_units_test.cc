#include "keeper/systemd_units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace drover::keeper {
namespace {

using testing::HasSubstr;
using testing::Not;

// Two GPUs of NVIDIA and one of AMD, as `test/systemd` prints and runs them.
SystemdLayout three_gpus() {
  SystemdLayout layout;
  layout.instances = {
      {.name = "gpu0", .vendor = GpuVendor::kNvidia, .gpus = {"GPU-1111"}, .port = 11440},
      {.name = "gpu1", .vendor = GpuVendor::kNvidia, .gpus = {"GPU-2222"}, .port = 11441},
      {.name = "gpu2",
       .vendor = GpuVendor::kAmd,
       .gpus = {"GPU-3333"},
       .port = 11442,
       .environment = {{"OLLAMA_NUM_PARALLEL", "2"}}}};
  return layout;
}

std::string text_of(const SystemdLayout& layout, std::string_view path) {
  const auto files = systemd_files(layout);
  if (!files) {
    ADD_FAILURE() << files.error().message;
    return "";
  }
  const auto file = std::find_if(files->begin(), files->end(),
                                 [&](const SystemdFile& f) { return f.path == path; });
  if (file == files->end()) ADD_FAILURE() << "no file " << path;
  return file == files->end() ? "" : file->text;
}

std::string refusal(const SystemdLayout& layout) {
  const auto files = systemd_files(layout);
  return files ? "" : files.error().message;
}

constexpr char kTemplate[] = "/etc/systemd/system/drover-ollama@.service";

TEST(SystemdUnits, AreThoseOfTheGoldenFile) {
  const auto files = systemd_files(three_gpus());
  ASSERT_TRUE(files);
  std::string printed;
  for (const SystemdFile& file : *files) printed += "# " + file.path + "\n" + file.text + "\n";
  std::ifstream golden("test/systemd/golden.txt");
  std::ostringstream wanted;
  wanted << golden.rdbuf();
  if (printed == wanted.str()) return;
  const std::string got = testing::TempDir() + "systemd_golden.txt";
  std::ofstream(got) << printed;
  ADD_FAILURE() << "read `diff test/systemd/golden.txt " << got
                << "`, and copy the file when it is what you meant";
}

TEST(SystemdUnits, AnNvidiaInstanceIsPinnedByUuidAndSeesNoOtherGpu) {
  EXPECT_EQ(text_of(three_gpus(), "/etc/drover/instances/gpu1.env"),
            "# Variables of drover-ollama@gpu1.service, written by drover systemd install.\n"
            "OLLAMA_MODELS=\"/usr/share/ollama/.ollama/models\"\n"
            "OLLAMA_NOPRUNE=\"1\"\n"
            "CUDA_VISIBLE_DEVICES=\"GPU-2222\"\n"
            "CUDA_DEVICE_ORDER=\"PCI_BUS_ID\"\n"
            "ROCR_VISIBLE_DEVICES=\"-1\"\n"
            "OLLAMA_VULKAN=\"0\"\n"
            "GGML_VK_VISIBLE_DEVICES=\"-1\"\n"
            "OLLAMA_HOST=\"127.0.0.1:11441\"\n");
}

TEST(SystemdUnits, AnAmdInstanceIsPinnedByRocm) {
  const std::string text = text_of(three_gpus(), "/etc/drover/instances/gpu2.env");
  EXPECT_THAT(text, HasSubstr("ROCR_VISIBLE_DEVICES=\"GPU-3333\"\n"));
  EXPECT_THAT(text, Not(HasSubstr("CUDA_VISIBLE_DEVICES")));
  EXPECT_THAT(text, HasSubstr("OLLAMA_NUM_PARALLEL=\"2\"\n"));
}

TEST(SystemdUnits, AnInstanceKeepsItsAddressWhateverItsEnvironmentSays) {
  SystemdLayout layout = three_gpus();
  layout.instances[0].environment = {{"OLLAMA_HOST", "0.0.0.0"}, {"OLLAMA_NOPRUNE", "0"}};
  const std::string text = text_of(layout, "/etc/drover/instances/gpu0.env");
  EXPECT_THAT(text, HasSubstr("OLLAMA_HOST=\"127.0.0.1:11440\"\n"));
  EXPECT_THAT(text, HasSubstr("OLLAMA_NOPRUNE=\"0\"\n"));
}

TEST(SystemdUnits, ValuesAreQuotedForTheReaderOfVariables) {
  SystemdLayout layout = three_gpus();
  layout.instances[0].environment = {{"NOTE", "a \"b\" $c \\d"}};
  EXPECT_THAT(text_of(layout, "/etc/drover/instances/gpu0.env"),
              HasSubstr("NOTE=\"a \\\"b\\\" \\$c \\\\d\"\n"));
}

TEST(SystemdUnits, PathsAreQuotedForUnitFiles) {
  SystemdLayout layout = three_gpus();
  layout.ollama = "/opt/my $ollama/100%/ollama";
  EXPECT_THAT(text_of(layout, kTemplate),
              HasSubstr("ExecStart=\"/opt/my $$ollama/100%%/ollama\" serve\n"));
}

TEST(SystemdUnits, AStoreElsewhereIsWritable) {
  SystemdLayout layout = three_gpus();
  layout.model_store = "/data/models";
  EXPECT_THAT(text_of(layout, kTemplate), HasSubstr("ReadWritePaths=-/usr/share/ollama/.ollama\n"
                                                    "ReadWritePaths=-/data/models\n"));
}

TEST(SystemdUnits, AStateDirectoryElsewhereIsWritable) {
  SystemdLayout layout = three_gpus();
  EXPECT_THAT(text_of(layout, "/etc/systemd/system/drover.service"),
              HasSubstr("ReadWritePaths=/run/drover\nLimitNOFILE"));
  layout.state_dir = "/srv/drover";
  EXPECT_THAT(text_of(layout, "/etc/systemd/system/drover.service"),
              HasSubstr("ReadWritePaths=/run/drover\nReadWritePaths=-/srv/drover\n"));
  layout.state_dir = "/home/alice/drover";  // tidy: allow(private-path) nobody's
  const auto refused = systemd_files(layout);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("which the services do not see"));
}

TEST(SystemdUnits, AStoreInAHomeIsTheOnlyThingSeenOfIt) {
  SystemdLayout layout = three_gpus();
  layout.user = layout.group = "alice";
  layout.user_home = "/home/alice";
  const std::string text = text_of(layout, kTemplate);
  EXPECT_THAT(text, HasSubstr("User=alice\n"));
  EXPECT_THAT(text, HasSubstr("BindPaths=-/home/alice/.ollama\n"));
  EXPECT_THAT(text, HasSubstr("ProtectHome=tmpfs\n"));
}

TEST(SystemdUnits, TheAddressesAreThoseConfigured) {
  SystemdLayout layout = three_gpus();
  layout.client = {"0.0.0.0:11434", "[::1]:11434"};
  layout.admin = "127.0.0.1:9000";
  EXPECT_THAT(text_of(layout, "/etc/systemd/system/drover.socket"),
              HasSubstr("ListenStream=0.0.0.0:11434\nListenStream=[::1]:11434\n"
                        "FileDescriptorName=client\n"));
  EXPECT_THAT(text_of(layout, "/etc/systemd/system/drover-admin.socket"),
              HasSubstr("ListenStream=127.0.0.1:9000\nFileDescriptorName=admin\n"));
}

TEST(SystemdUnits, StoppingWaitsForTheDrain) {
  SystemdLayout layout = three_gpus();
  layout.drain = std::chrono::seconds(90);
  layout.config = "/etc/drover/site.yaml";
  const std::string text = text_of(layout, "/etc/systemd/system/drover.service");
  EXPECT_THAT(text, HasSubstr("TimeoutStopSec=120\n"));
  // The gateway hears from the keeper what the file says.
  EXPECT_THAT(text, HasSubstr("ExecStart=/usr/bin/drover gateway\n"));
  EXPECT_THAT(text_of(layout, "/etc/systemd/system/drover-keeper.service"),
              HasSubstr("ExecStart=/usr/bin/drover keeper --config /etc/drover/site.yaml\n"));
}

TEST(SystemdUnits, TheListOfInstancesIsForEverybodyToRead) {
  SystemdLayout layout = three_gpus();
  layout.instances[2] = {.name = "both",
                         .vendor = GpuVendor::kNvidia,
                         .gpus = {"GPU-1111", "GPU-2222"},
                         .port = 11442};
  layout.instances.push_back({.name = "cpu0", .port = 11443});
  EXPECT_THAT(text_of(layout, "/etc/drover/instances.list"),
              HasSubstr("\ngpu0 11440 GPU-1111 pinned\ngpu1 11441 GPU-2222 pinned\n"
                        "both 11442 GPU-1111,GPU-2222 spanning\ncpu0 11443 - pinned\n"));
  const auto files = systemd_files(layout);
  for (const SystemdFile& file : *files) {
    EXPECT_EQ(file.mode, file.path.ends_with(".env") ? 0600U : 0644U) << file.path;
  }
}

TEST(SystemdUnits, APackageHasItsFilesInUsr) {
  SystemdLayout layout;
  layout.home = SystemdHome::kPackage;
  const auto files = systemd_files(layout);
  ASSERT_TRUE(files);
  for (const SystemdFile& file : *files)
    EXPECT_THAT(file.path, Not(HasSubstr("/etc/"))) << file.path;
}

TEST(SystemdUnits, WhatCannotBeWrittenIsRefusedWithTheRemedy) {
  SystemdLayout layout = three_gpus();
  layout.instances[0].name = "gpu[0]";
  EXPECT_EQ(refusal(layout),
            "the name 'gpu[0]' cannot be part of a unit's name; use letters, digits and _ - . :");
  layout = three_gpus();
  layout.instances[1].port = 11440;
  EXPECT_EQ(refusal(layout), "gpu0 and gpu1 share a name or the port 11440; give each its own");
  layout = three_gpus();
  layout.ollama = "ollama";
  EXPECT_EQ(refusal(layout), "the ollama program must be an absolute path, not 'ollama'");
  layout = three_gpus();
  layout.instances[0].environment = {{"A", "one\ntwo"}};
  EXPECT_THAT(refusal(layout), HasSubstr("gpu0: 'A' cannot be set as a variable"));
  layout = three_gpus();
  layout.model_store = "/data\nUser=root";
  EXPECT_THAT(refusal(layout), HasSubstr("the model store must be an absolute path"));
}

}  // namespace
}  // namespace drover::keeper
