#pragma once
// HangWatch: is this instance computing at all? One per instance, fed by the scheduler.
//
// Picture a cook behind a closed door. Orders went in and nothing comes out. That alone proves
// nothing: a roast takes its time. So the neighbour looks whether the stove is cold (GPU idle) or,
// when it is hot, whether the roast should have been done three times over (the computed deadline).
// Only then does somebody knock and ask for a piece of bread (the canary). No bread: the cook is
// replaced. One of these signs alone never is enough.
//
//   quiet: requests under way, and no stream of the instance has moved since the last sign of life
//   suspect: quiet, and one of
//     idle      its GPUs were idle in every report of 20 s, and the models asked for are on them
//     late      the computed deadline of every request under way is past; that is also the rule
//               where no utilisation can be read (MIG slices, foreign instances, the CPU)
//     stalled   a model is asked for that /api/ps does not list yet, which is a load: then neither
//               GPU memory nor CPU time have moved for minutes
//   hung: suspect, and a canary of one token did not come back
//
// Silence that has another cause is no silence: a client that takes nothing stops its own stream.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/ask.h"
#include "base/flat_map.h"
#include "base/gpu.h"
#include "base/ids.h"
#include "base/process.h"
#include "base/time.h"
#include "core/fleet.h"
#include "core/names_in_use.h"
#include "core/settings.h"

namespace drover::core {

// How fast an instance reads prompts, as the slow end of what it showed.
class PrefillRate {
 public:
  void learn(const Usage& usage);
  Duration deadline(std::uint64_t body_bytes, const HangRules& rules, bool foreign) const;
  double tokens_per_second() const;

 private:
  static constexpr std::size_t kWindow = 32;
  std::array<double, kWindow> samples_{};  // a ring
  std::uint64_t learned_ = 0;
  double slow_ = 0;
};

struct Suspicion {
  std::string reason;                    // one sentence
  ModelName model;                       // what the canary asks for
  std::optional<std::uint64_t> num_ctx;  // and with which context, where clients named one
};

class HangWatch {
 public:
  HangWatch(const HangRules& rules, const BackendSpec& spec);

  // --- requests of this instance ---
  void granted(LeaseId lease, const Ask& ask, Instant now);
  void first_byte(LeaseId lease, Instant now);
  void progressed(Instant now);
  void held_up(LeaseId lease, bool by_client, Instant now);
  void ended(LeaseId lease, bool answered, const Usage& usage, Instant now);

  // --- what is seen of it ---
  void devices(const GpuReport& report, Instant now);
  void process(const InstanceProcess& process, Instant now);
  void calm(Instant now);  // it is another process, or was proven well

  // The entry of /api/ps for a model, under whatever name; null: not listed, so it is loading.
  using Listed = std::function<const LoadedModel*(const ModelName&)>;
  // A value: send a canary now. Due at next_look().
  std::optional<Suspicion> look(const Listed& listed, Instant now);
  // The same for one that was put out as hung and may have come to itself.
  std::optional<Suspicion> look_again(Instant now);
  void look_later(Instant now) { looked_at_ = now; }
  enum class Outlook : std::uint8_t { kServing, kHung };
  Instant next_look(Outlook outlook) const;
  // A value: it is hung, and why.
  std::optional<std::string> canary_done(bool answered, const std::string& detail, Instant now);

  const PrefillRate& prefill() const { return prefill_; }
  bool nothing_under_way() const { return leases_.empty() && names_.empty(); }

 private:
  struct Lease {
    Duration limit{};  // of silence
    NameIndex model = 0;
    std::uint32_t num_ctx = 0;  // tokens; 0: not named
    bool streaming = false;
    bool held_up = false;
  };
  struct Loaded {
    bool all = true;     // every model that is asked for is listed
    bool on_gpu = true;  // and wholly on the GPUs
    ModelName canary;    // one that is listed, if any
    std::optional<std::uint64_t> num_ctx;
  };
  Loaded loaded(const Listed& listed) const;
  std::optional<std::string> suspicious(const Loaded& loaded, Instant now) const;
  std::optional<std::string> stalled(Instant now) const;
  bool idle(Instant now) const;

  HangRules rules_;
  std::vector<std::string> gpus_;
  bool foreign_;

  FlatMap<LeaseId, Lease> leases_;
  NamesInUse names_;  // of their models
  PrefillRate prefill_;
  Instant quiet_since_{};  // the last sign of life, or the moment from which one was due

  // What the reports say of its GPUs.
  std::optional<Instant> idle_since_;
  Instant reported_at_{};
  std::optional<std::uint64_t> gpu_memory_;
  // What a load moves. No value: nothing can be read, so a load is never called stalled.
  std::optional<Instant> moved_at_;
  std::optional<Duration> cpu_mark_;
  Instant cpu_marked_at_{};

  Instant looked_at_{};
  Instant next_canary_{};
  std::optional<Suspicion> suspicion_;  // its canary is under way
  std::optional<Suspicion> last_;       // the one before, for asking again
};

}  // namespace drover::core
