#pragma once
// When is a supervised instance started again after it ended unasked? Soon, if it happens once;
// ever later, if it keeps happening; and not at all, once it is plain that starting does not help.
//
// Picture a fuse: it may be put back in, but whoever puts it back in five times in ten minutes
// looks for the short circuit instead.

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "base/rng.h"
#include "base/time.h"

namespace drover::core {

struct RestartRules {
  // An instance that died under one bad request is back before its clients' patience ends; one that
  // cannot start costs one attempt a minute.
  Duration wait_min = std::chrono::milliseconds(500);
  Duration wait_max = std::chrono::seconds(60);
  double jitter = 0.5;  // of the wait, added at random: GPUs of one machine do not load in step
  std::uint32_t failures_to_quarantine = 5;  // within the window, without a served request between
  Duration window = std::chrono::minutes(10);
};

struct RestartVerdict {
  enum class Action : std::uint8_t { kStart, kQuarantine };
  Action action = Action::kStart;
  Duration wait{};     // before the start
  std::string reason;  // of the quarantine: one sentence with the remedy
};

// One per instance; owned by whoever watches its process.
class RestartPolicy {
 public:
  RestartPolicy(const RestartRules& rules, std::uint64_t seed) : rules_(rules), rng_(seed) {}

  // It ended, or had to be ended. `why` is a phrase for people.
  RestartVerdict failed(Instant now, std::string_view why);
  // A client's request was served: what went before was not the instance's nature.
  void served();
  // An operator starts it: the count begins anew.
  void forgive() { served(); }

 private:
  RestartRules rules_;
  Rng rng_;
  std::deque<Instant> failures_;  // within the window, oldest first
  Duration wait_{};               // the last one, without jitter; zero: none yet
};

}  // namespace drover::core
