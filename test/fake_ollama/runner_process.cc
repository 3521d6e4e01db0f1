#include "fake_ollama/runner_process.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "net/child_process.h"

extern char** environ;

namespace drover::fake {
namespace {

// The devices that CUDA would show this process.
std::vector<std::string> visible_gpus() {
  const char* list = std::getenv("CUDA_VISIBLE_DEVICES");
  std::vector<std::string> gpus;
  std::string rest = list == nullptr ? "" : list;
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',');
    gpus.push_back(rest.substr(0, comma));
    rest = comma == std::string::npos ? "" : rest.substr(comma + 1);
  }
  return gpus;
}

}  // namespace

std::shared_ptr<RunnerProcess> RunnerProcess::start(std::uint64_t vram_bytes) {
  net::SpawnOptions options;
  options.argv = {"/proc/self/exe", kRunnerVerb, std::to_string(vram_bytes)};
  for (char** entry = environ; *entry != nullptr; ++entry) options.environment.emplace_back(*entry);
  // As Ollama does: no parent-death signal, and the group of its server.
  options.session = net::SpawnOptions::Session::kShared;
  Result<pid_t> pid = net::spawn(options);
  if (!pid) return nullptr;
  return std::shared_ptr<RunnerProcess>(new RunnerProcess(*pid));  // tidy: allow(new) private ctor
}

RunnerProcess::~RunnerProcess() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

bool RunnerProcess::alive() {
  if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = 0;
  return pid_ > 0;
}

int run_runner(std::uint64_t vram_bytes) {
  if (const char* program = std::getenv("DROVER_FAKE_RUNNER")) {
    ::execlp(program, program, std::to_string(vram_bytes).c_str(), nullptr);
    return 127;
  }
  const std::vector<std::string> gpus = visible_gpus();
  if (const char* root = std::getenv("DROVER_FAKE_GPUS")) {
    for (const std::string& gpu : gpus) {
      const std::filesystem::path dir = std::filesystem::path(root) / gpu;
      std::error_code error;
      std::filesystem::create_directories(dir, error);
      std::ofstream(dir / std::to_string(::getpid())) << vram_bytes / gpus.size() << "\n";
    }
  }
  for (;;) ::pause();
}

}  // namespace drover::fake
