#include "keeper/process_tree.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace drover::keeper {
namespace {

namespace fs = std::filesystem;

// A proc file system made by hand.
class FakeProc {
 public:
  FakeProc() {
    std::string pattern = (fs::temp_directory_path() / "drover-proc-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
  }
  FakeProc(const FakeProc&) = delete;
  FakeProc& operator=(const FakeProc&) = delete;
  ~FakeProc() { fs::remove_all(root_); }

  void add(int pid, int parent, int start, const std::string& name = "ollama",
           const std::string& environment = "", char state = 'S') {
    const fs::path dir = fs::path(root_) / std::to_string(pid);
    fs::create_directories(dir / "fd");
    for (int fd = 0; fd < 3; ++fd) std::ofstream(dir / "fd" / std::to_string(fd)) << "";
    // pid (name) state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime stime
    // cutime cstime priority nice threads itrealvalue starttime vsize rss …
    std::ofstream(dir / "stat") << pid << " (" << name << ") " << state << " " << parent
                                << " 1 1 0 -1 0 0 0 0 0 50 25 20 5 20 0 1 0 " << start
                                << " 1000000 10 0 0\n";
    std::ofstream(dir / "environ") << environment;
  }
  void remove(int pid) { fs::remove_all(fs::path(root_) / std::to_string(pid)); }
  const std::string& root() const { return root_; }

 private:
  std::string root_;
};

TEST(ProcessTree, HoldsAllDescendantsParentsFirst) {
  FakeProc proc;
  proc.add(1, 0, 1);
  proc.add(10, 1, 5);
  proc.add(11, 10, 6);
  proc.add(12, 11, 7, "llama server) S 1 (");  // names may hold anything
  proc.add(20, 1, 8);
  EXPECT_EQ(process_tree(10, proc.root()), (std::vector<pid_t>{10, 11, 12}));
  EXPECT_TRUE(process_tree(99, proc.root()).empty());
}

TEST(ProcessTree, MeasuresWholeTrees) {
  FakeProc proc;
  proc.add(10, 1, 5);
  proc.add(11, 10, 6);
  const TreeUse use = measure({10, 11, 77}, proc.root());
  EXPECT_EQ(use.processes, 2U);
  EXPECT_EQ(use.open_files, 6U);
  EXPECT_EQ(use.rss_bytes, 20U * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
  EXPECT_EQ(use.cpu, std::chrono::seconds(200 / ::sysconf(_SC_CLK_TCK)));
}

TEST(ProcessTree, AgreesWithTheKernelAboutThisProcess) {
  const TreeUse use = measure({::getpid()});
  EXPECT_EQ(use.processes, 1U);
  EXPECT_GT(use.rss_bytes, 1U << 20);
  EXPECT_GE(use.open_files, 3U);
  EXPECT_TRUE(identify(::getpid()));
}

TEST(Leftovers, AreMarkedByAKeeperThatIsGone) {
  FakeProc proc;
  proc.add(10, 1, 5, "drover");
  proc.add(11, 10, 6, "ollama", std::string("A=b\0DROVER_KEEPER=10@5\0C=d", 26));
  proc.add(12, 1, 7, "llama-server", std::string("DROVER_KEEPER=9@4\0", 18));
  proc.add(13, 1, 8, "llama-server", std::string("DROVER_KEEPER=10@4\0", 19));  // number reused
  proc.add(14, 1, 9, "ollama", std::string("OTHER=9@4\0", 10));
  proc.add(15, 1, 9, "ollama", std::string("DROVER_KEEPER=nonsense\0", 23));
  std::vector<pid_t> found = leftovers(proc.root());
  std::sort(found.begin(), found.end());
  EXPECT_EQ(found, (std::vector<pid_t>{12, 13}));
}

TEST(Leftovers, AKeeperThatIsOnlyAZombieIsGone) {
  FakeProc proc;
  proc.add(10, 1, 5, "drover", "", 'Z');
  proc.add(11, 1, 6, "ollama", std::string("DROVER_KEEPER=10@5\0", 19));
  EXPECT_EQ(leftovers(proc.root()), std::vector<pid_t>{11});
}

TEST(ProcessIdentity, ReadsOnlyWhatItWrites) {
  EXPECT_EQ(ProcessIdentity::parse("12@34"), (ProcessIdentity{12, 34}));
  for (const char* wrong : {"", "12", "@", "12@", "@34", "a@3", "12@3x", "12@34@5"}) {
    EXPECT_FALSE(ProcessIdentity::parse(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace drover::keeper
