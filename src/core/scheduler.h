#pragma once
// The one place where decisions are made. Events in, effects out; no clock, no sockets, no threads,
// no log. The engine runs it in production, tests and simulators run the very same code.

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/events.h"
#include "core/fleet.h"
#include "core/learned.h"
#include "core/settings.h"

namespace drover::core {

namespace testing {
struct Insight;
}

// The work is divided: health.h (is an instance fit?), picker.h (which one?), miss_queue.h (nobody
// has it: ask again), retry_budget.h (may it be tried once more?), refusal.h (what to tell the
// client). What remains here is the ledger of leases, and who is told about which event.
class Scheduler {
 public:
  // Precondition: backends[i].id == BackendId{i}.
  Scheduler(Settings settings, std::vector<BackendSpec> backends);
  ~Scheduler();

  // Appends to `out`. Every RequestArrived is answered by exactly one Grant or Refuse, in this call
  // or a later one, unless RequestGone comes first. Every Grant is followed by exactly one
  // LeaseSettled from the caller. `now` never goes back.
  void handle(const Event& event, Instant now, Effects& out);

  // A copy of what is known; cheap (catalogues are shared).
  FleetView view() const;
  // Changes whenever view() may have changed.
  std::uint64_t generation() const;
  // What was learned so far; none where the policy learns nothing. And what was learned in another
  // life: before the first event.
  std::optional<Learned> learned() const;
  void remember(const Learned& learned);

 private:
  friend struct testing::Insight;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace drover::core
