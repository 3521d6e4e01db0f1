#pragma once
// Restart: one instance on its way through a restart that drover itself wants.
//
// Picture a till in a supermarket whose drawer has to be changed: a sign goes up (new customers go
// to other tills), those in the queue who are not being served yet are called over, the one being
// served is finished or, after a while, asked to leave. Then the drawer is changed, and the sign
// comes down when the new one has been seen to open.
//
//   None ──begin──▶ Draining ──nothing under way, or the grace is over──▶ Ordered ──▶ None
//                                      a newer process runs and a check was answered ┘
//
// An order that nobody carries out ends after a while: checks decide about the instance again.

#include <cstdint>
#include <string>

#include "base/process.h"
#include "base/time.h"
#include "core/fleet.h"

namespace drover::core {

class Restart {
 public:
  bool under_way() const { return stage_ != Stage::kNone; }
  RestartCause cause() const { return cause_; }
  const std::string& reason() const { return reason_; }

  // False: one is under way already that will not be later than this one. A proven hang does not
  // wait for the end of an operator's grace.
  bool begin(RestartCause cause, std::string reason, Instant order_at);
  // An operator thinks better of it. False: too late, or nothing to call off.
  bool call_off();

  // Is it time for the order?
  bool due(std::uint32_t in_flight, Instant now) const;
  void ordered(std::uint64_t starts, Instant give_up_at);

  // True: this is the first sight of the newer process.
  bool saw(const InstanceProcess& process);
  // A check was answered. True: by the newer process, so the restart is over.
  bool answered();
  // True: the order was not carried out in time; the restart is over.
  bool time_passed(Instant now);
  Instant next_change() const { return under_way() ? deadline_ : kNever; }

 private:
  enum class Stage : std::uint8_t { kNone, kDraining, kOrdered };

  Stage stage_ = Stage::kNone;
  RestartCause cause_ = RestartCause::kOperator;
  std::string reason_;
  Instant deadline_ = kNever;  // draining: of the order; ordered: of the newer process
  std::uint64_t starts_ = 0;   // when ordered
  bool newer_runs_ = false;
};

}  // namespace drover::core
