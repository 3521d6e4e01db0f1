// Installing, taking over and giving back, in a root of its own, with a `systemctl` on PATH that
// keeps what it was told in files: a unit is active, enabled or masked when such a file is there.
#include "keeper/systemd_install.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "keeper/run_program.h"

namespace drover::keeper {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr char kSystemctl[] = R"SH(#!/bin/sh
printf '%s\n' "$*" >> "$WORLD/calls"
if [ "$*" = "$(cat "$WORLD/fails" 2>/dev/null)" ]; then echo "Job failed."; exit 1; fi
for unit; do :; done
case $1 in
  show) cat "$WORLD/show" ;;
  start) touch "$WORLD/state/active-$unit" ;;
  stop) rm -f "$WORLD/state/active-$unit" ;;
  enable) touch "$WORLD/state/active-$unit" "$WORLD/state/enabled-$unit" ;;
  disable) rm -f "$WORLD/state/active-$unit" "$WORLD/state/enabled-$unit" ;;
esac
)SH";

std::string read_text(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// A machine in a temporary folder.
class SystemdInstall : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "drover-install-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    world_ = name;
    for (const char* folder : {"root/etc/systemd/system", "root/var/lib", "state", "bin"}) {
      fs::create_directories(world_ / folder);
    }
    for (const char* program : {"systemctl", "systemd-sysusers", "systemd-tmpfiles"}) {
      write(world_ / "bin" / program,
            program == std::string("systemctl") ? kSystemctl : "#!/bin/sh\n");
      ::chmod((world_ / "bin" / program).c_str(), 0755);
    }
    const char* path = std::getenv("PATH");
    old_path_ = path == nullptr ? "" : path;
    ::setenv("PATH", ((world_ / "bin").string() + ":" + old_path_).c_str(), 1);
    ::setenv("WORLD", world_.c_str(), 1);
    site_.root = (world_ / "root").string();
    site_.say = [this](std::string_view line) { said_ += std::string(line) + "\n"; };
    site_.run = run_program;
  }
  void TearDown() override {
    ::setenv("PATH", old_path_.c_str(), 1);
    ::unsetenv("WORLD");
    fs::remove_all(world_);
  }

  static void write(const fs::path& path, std::string_view text) { std::ofstream(path) << text; }

  // The service that Ollama's installer makes: unit in /etc, a drop-in, enabled and running.
  OllamaUnit an_ollama_runs() {
    const fs::path units = world_ / "root/etc/systemd/system";
    write(units / "ollama.service", "[Service]\nExecStart=/usr/local/bin/ollama serve\n");
    fs::create_directories(units / "ollama.service.d");
    write(units / "ollama.service.d/override.conf", "[Service]\nEnvironment=OLLAMA_MODELS=/data\n");
    fs::create_directories(units / "default.target.wants");
    fs::create_symlink("/etc/systemd/system/ollama.service",
                       units / "default.target.wants/ollama.service");
    write(world_ / "state/active-ollama.service", "");
    write(world_ / "show",
          "LoadState=loaded\nActiveState=active\n"
          "FragmentPath=/etc/systemd/system/ollama.service\nUser=ollama\nGroup=ollama\n");
    const Result<std::string> answer = run_program(ollama_unit_question());
    EXPECT_TRUE(answer);
    return read_ollama_unit(*answer);
  }

  // Every path with its kind and content: what a round trip must leave as it was.
  std::map<std::string, std::string> tree() const {
    std::map<std::string, std::string> found;
    for (const char* part : {"root", "state"}) {
      for (const auto& entry : fs::recursive_directory_iterator(world_ / part)) {
        std::string content = "folder";
        if (entry.is_symlink()) {
          content = "link to " + fs::read_symlink(entry.path()).string();
        } else if (entry.is_regular_file()) {
          content = "file: " + read_text(entry.path());
        }
        found[entry.path().lexically_relative(world_).string()] = content;
      }
    }
    return found;
  }

  std::vector<std::string> calls() const {
    std::vector<std::string> lines;
    std::istringstream text(read_text(world_ / "calls"));
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    return lines;
  }

  const std::vector<SystemdFile> files_ = {
      {"/etc/systemd/system/drover.service", "[Service]\n"},
      {"/etc/drover/instances/gpu0.env", "OLLAMA_HOST=\"127.0.0.1:11440\"\n", 0600},
      {"/etc/sysusers.d/drover.conf", "u drover -\n"}};
  const std::vector<std::string> units_ = {"drover-ollama@gpu0.service", "drover.service"};
  fs::path world_;
  InstallSite site_;
  std::string said_;
  std::string old_path_;
};

TEST_F(SystemdInstall, WritesEnablesAndTakesEverythingBack) {
  const auto before = tree();
  ASSERT_TRUE(install(site_, files_, units_, std::nullopt));
  EXPECT_EQ(read_text(world_ / "root/etc/systemd/system/drover.service"), "[Service]\n");
  EXPECT_EQ(fs::status(world_ / "root/etc/drover/instances/gpu0.env").permissions(),
            fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_TRUE(fs::exists(world_ / "state/active-drover.service"));
  EXPECT_TRUE(is_installed(site_));
  ASSERT_TRUE(uninstall(site_)) << said_;
  EXPECT_EQ(tree(), before);
  EXPECT_FALSE(is_installed(site_));
  EXPECT_THAT(calls(),
              ElementsAre("daemon-reload", "enable --now drover-ollama@gpu0.service",
                          "enable --now drover.service", "disable --now drover.service",
                          "reset-failed drover.service", "disable --now drover-ollama@gpu0.service",
                          "reset-failed drover-ollama@gpu0.service", "daemon-reload"));
}

TEST_F(SystemdInstall, TakesOverAndGivesBackToTheByte) {
  const OllamaUnit service = an_ollama_runs();
  const auto before = tree();
  ASSERT_TRUE(install(site_, files_, units_, service)) << said_;
  const fs::path unit = world_ / "root/etc/systemd/system/ollama.service";
  EXPECT_TRUE(fs::is_symlink(unit));
  EXPECT_EQ(fs::read_symlink(unit), "/dev/null");
  EXPECT_FALSE(fs::exists(world_ / "state/active-ollama.service"));
  ASSERT_TRUE(uninstall(site_)) << said_;
  EXPECT_EQ(tree(), before);
}

TEST_F(SystemdInstall, AServiceThatWasStoppedStaysStopped) {
  OllamaUnit service = an_ollama_runs();
  service.active = false;
  fs::remove(world_ / "state/active-ollama.service");
  const auto before = tree();
  ASSERT_TRUE(install(site_, files_, units_, service));
  ASSERT_TRUE(uninstall(site_));
  EXPECT_EQ(tree(), before);
  EXPECT_THAT(calls(), Not(Contains("start ollama.service")));
}

TEST_F(SystemdInstall, AUnitOfAPackageIsMaskedWhereItIs) {
  OllamaUnit service = an_ollama_runs();
  const fs::path units = world_ / "root/etc/systemd/system";
  fs::remove(units / "ollama.service");
  service.unit_file = "/lib/systemd/system/ollama.service";
  const auto before = tree();
  ASSERT_TRUE(install(site_, files_, units_, service)) << said_;
  EXPECT_TRUE(fs::is_symlink(units / "ollama.service"));
  ASSERT_TRUE(uninstall(site_));
  EXPECT_EQ(tree(), before);
}

TEST_F(SystemdInstall, AFailureAnywhereLeavesEverythingAsItWas) {
  for (const char* step :
       {"stop ollama.service", "daemon-reload", "enable --now drover-ollama@gpu0.service",
        "enable --now drover.service"}) {
    const OllamaUnit service = an_ollama_runs();
    const auto before = tree();
    write(world_ / "fails", step);
    const Result<void> outcome = install(site_, files_, units_, service);
    fs::remove(world_ / "fails");
    ASSERT_FALSE(outcome) << step;
    EXPECT_THAT(outcome.error().message, HasSubstr(step));
    if (std::string(step) == "daemon-reload") {
      // It failed on the way back as well: that is said, kept, and mended by uninstalling.
      EXPECT_THAT(outcome.error().message, HasSubstr("run drover systemd uninstall again"));
      ASSERT_TRUE(uninstall(site_)) << said_;
    }
    EXPECT_EQ(tree(), before) << step;
    fs::remove_all(world_ / "root/etc/systemd/system");
    fs::create_directories(world_ / "root/etc/systemd/system");
  }
}

TEST_F(SystemdInstall, AFileOfSomebodyElseIsLeftAlone) {
  write(world_ / "root/etc/systemd/system/drover.service", "mine\n");
  const auto before = tree();
  const Result<void> outcome = install(site_, files_, units_, std::nullopt);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().message,
            "/etc/systemd/system/drover.service is there already and was not written by drover "
            "systemd install; move it away first");
  EXPECT_EQ(tree(), before);
}

TEST_F(SystemdInstall, TwoInstallationsDoNotStack) {
  ASSERT_TRUE(install(site_, files_, units_, std::nullopt));
  const Result<void> again = install(site_, files_, units_, std::nullopt);
  ASSERT_FALSE(again);
  EXPECT_THAT(again.error().message, HasSubstr("run drover systemd uninstall first"));
}

TEST_F(SystemdInstall, UninstallingNothingSaysSo) {
  const Result<void> outcome = uninstall(site_);
  ASSERT_FALSE(outcome);
  EXPECT_THAT(outcome.error().message, HasSubstr("has not been used here"));
}

TEST_F(SystemdInstall, WithoutARunnerOnlyFilesAreWritten) {
  site_.run = nullptr;
  const auto before = tree();
  ASSERT_TRUE(install(site_, files_, units_, std::nullopt));
  EXPECT_TRUE(fs::exists(world_ / "root/etc/sysusers.d/drover.conf"));
  EXPECT_TRUE(calls().empty());
  ASSERT_TRUE(uninstall(site_));
  EXPECT_EQ(tree(), before);
}

TEST_F(SystemdInstall, AFolderThatSomebodyUsesStays) {
  ASSERT_TRUE(install(site_, files_, units_, std::nullopt));
  write(world_ / "root/etc/drover/drover.yaml", "listen: 127.0.0.1:11434\n");
  ASSERT_TRUE(uninstall(site_));
  EXPECT_TRUE(fs::exists(world_ / "root/etc/drover/drover.yaml"));
  EXPECT_FALSE(fs::exists(world_ / "root/etc/drover/instances"));
}

TEST(RunProgram, SaysWhatTheProgramSaid) {
  const Result<std::string> outcome = run_program({"sh", "-c", "echo no room >&2; exit 3"});
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().message, "sh -c echo no room >&2; exit 3: no room");
  EXPECT_THAT(run_program({"/nonexistent/program"}).error().message,
              HasSubstr("No such file or directory"));
  EXPECT_THAT(run_program({"sh", "-c", "kill -9 $$"}).error().message,
              HasSubstr("killed by signal 9"));
}

TEST(OllamaUnit, IsReadFromWhatSystemctlShows) {
  const OllamaUnit service = read_ollama_unit(
      "Environment=PATH=/usr/local/bin:/usr/bin OLLAMA_MODELS=/data/models \"NOTE=two words\" "
      "$'QUOTE=it\\'s'\n"
      "EnvironmentFiles=/etc/default/ollama (ignore_errors=yes)\n"
      "ExecStart={ path=/usr/local/bin/ollama ; argv[]=/usr/local/bin/ollama serve ; "
      "ignore_errors=no ; start_time=[n/a] }\n"
      "FragmentPath=/etc/systemd/system/ollama.service\nLoadState=loaded\nActiveState=active\n"
      "User=ollama\nGroup=ollama\n");
  EXPECT_TRUE(service.found);
  EXPECT_TRUE(service.active);
  EXPECT_FALSE(service.masked);
  EXPECT_EQ(service.program, "/usr/local/bin/ollama");
  EXPECT_EQ(service.environment_file, "/etc/default/ollama");
  EXPECT_EQ(service.variable("OLLAMA_MODELS"), "/data/models");
  EXPECT_EQ(service.variable("NOTE"), "two words");
  EXPECT_EQ(service.variable("QUOTE"), "it's");
}

TEST(OllamaUnit, NoSuchUnitIsNotFound) {
  const OllamaUnit service =
      read_ollama_unit("LoadState=not-found\nActiveState=inactive\nFragmentPath=\n");
  EXPECT_FALSE(service.found);
  EXPECT_TRUE(read_ollama_unit("LoadState=masked\n").masked);
}

TEST(OllamaUnit, ItsAddressIsThatOfItsClients) {
  const auto address = [](const char* host) {
    OllamaUnit service;
    if (*host != '\0') service.environment = {{"OLLAMA_HOST", host}};
    return service.address();
  };
  EXPECT_EQ(address(""), "127.0.0.1:11434");
  EXPECT_EQ(address("0.0.0.0"), "0.0.0.0:11434");
  EXPECT_EQ(address("0.0.0.0:8080"), "0.0.0.0:8080");
  EXPECT_EQ(address(":8080"), "0.0.0.0:8080");
  EXPECT_EQ(address("http://localhost:8080/"), "127.0.0.1:8080");
  EXPECT_EQ(address("[::1]:8080"), "[::1]:8080");
  EXPECT_EQ(address("::1"), "[::1]:11434");
}

}  // namespace
}  // namespace drover::keeper
