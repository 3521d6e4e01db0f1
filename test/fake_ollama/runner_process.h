#pragma once
// What Ollama starts for each loaded model: a process of its own, here one that only sits there. It
// makes the stand-in killable in the same places as the real thing: the server, the runner, both.
//
// The runner says which GPU it holds memory of, in the directory that the stand-in for NVIDIA's
// library reads ($DROVER_FAKE_GPUS/<UUID>/<pid>), so that pinning can be seen from outside. On a
// machine with real GPUs $DROVER_FAKE_RUNNER, a program that takes BYTES of memory, is run instead.

#include <sys/types.h>

#include <cstdint>
#include <memory>

namespace drover::fake {

class RunnerProcess {
 public:
  // Null when none can be started.
  static std::shared_ptr<RunnerProcess> start(std::uint64_t vram_bytes);
  RunnerProcess(const RunnerProcess&) = delete;
  RunnerProcess& operator=(const RunnerProcess&) = delete;
  ~RunnerProcess();  // kills it

  bool alive();

 private:
  explicit RunnerProcess(pid_t pid) : pid_(pid) {}
  pid_t pid_;
};

// The program behind it: `fake_ollama runner BYTES`. Never returns by itself.
inline constexpr const char* kRunnerVerb = "runner";
int run_runner(std::uint64_t vram_bytes);

}  // namespace drover::fake
