#pragma once
// FallbackWatch: does this instance still compute on its GPU? Ollama falls back to the CPU without
// a word: after a driver update, a suspended machine, a GPU that was lost for a second. Everything
// answers, twenty times slower. One per instance, fed by the scheduler.
//
// Two signs, each of which suffices:
//   memory  /api/ps shows less of a model on the GPU than the whole, where the whole was there
//           before with the same context or a longer one; or nothing of it, while other instances
//           have all of it. Part of a model may lie on the CPU for a good reason, that something
//           else holds the memory, so a part counts only while nothing else is loaded there.
//   speed   five answers in a row of at least 32 tokens came at less than a fifth of the median
//           speed of that model on this instance, which at least 20 answers have set. Beside a
//           second loaded model less than a tenth counts, and so on: whoever uses it, be it behind
//           drover's back, has half of the GPU.
//
// An instance that never had a model on a GPU, and names none as its own, is not judged.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ask.h"
#include "base/models.h"
#include "base/time.h"
#include "core/fleet.h"

namespace drover::core {

struct Fallback {
  ModelName model;
  std::string detail;  // one sentence
};

class FallbackWatch {
 public:
  explicit FallbackWatch(const BackendSpec& spec) : has_gpus_(!spec.gpus.empty()) {}

  struct Surroundings {
    bool alone = true;                        // no other instance holds memory of its devices
    std::vector<ModelName> on_gpu_elsewhere;  // loaded wholly on the GPU of another instance
  };
  // A look at /api/ps.
  std::optional<Fallback> looked(const Residency& residency, const Surroundings& around,
                                 Instant now);
  // An answer ended. `loaded` models are there, itself included.
  std::optional<Fallback> answered(const ModelName& model, const Usage& usage, std::size_t loaded,
                                   Instant now);
  // Another process runs there. What it can do is remembered, what it was suspected of is not.
  void started_anew();

 private:
  static constexpr std::size_t kWindow = 31;  // odd, so that a median is one of the samples
  struct Known {
    std::optional<std::uint64_t> whole_at_context;  // seen wholly on the GPU with this context
    std::uint32_t looks_in_row = 0;                 // that show less
    std::vector<double> speeds;                     // a ring of kWindow, tokens per second
    std::size_t next_speed = 0;
    std::uint32_t slow_in_row = 0;
  };
  Known& known(const ModelName& model);
  bool on_cpu(const LoadedModel& entry, const Known& known, bool only_one,
              const Surroundings& around) const;
  std::optional<Fallback> tell(const ModelName& model, std::string detail, Instant now);

  bool has_gpus_;
  std::map<ModelName, Known> models_;
  Instant quiet_until_{};
};

}  // namespace drover::core
