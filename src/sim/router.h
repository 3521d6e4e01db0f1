#pragma once
// Router: whoever decides in a simulated world where requests go. CoreRouter asks the production
// scheduler; the others are what it is compared with.
//
// A router may read of a job what a gateway can know when it arrives: model, tenant, the length of
// its prompt, which conversation it goes on with. How long the answer will be is for the
// clairvoyant only.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sim/backend.h"
#include "sim/stopwatch.h"

namespace drover::sim {

struct Order {
  enum class Kind : std::uint8_t { kSend, kRefuse, kTakeBack, kLoad, kUnload, kLook, kWakeAt };
  Kind kind = Kind::kSend;
  JobIndex job = kNoJob;       // kSend, kRefuse, kTakeBack (comes back as kTakenBack)
  InstanceIndex instance = 0;  // of all but kRefuse and kWakeAt; kLook: polled() follows at once,
                               // unless the answer is lost
  ModelIndex model = 0;        // kLoad (answered by loaded()), kUnload
  Instant when = kNever;       // kWakeAt: the latest one counts
};
using Orders = std::vector<Order>;

// How one attempt ended. All but kServed and kLost leave the request with the router, who has to
// send it again or refuse it.
enum class Ending : std::uint8_t {
  kServed,
  kLost,  // the instance died after the first token: the client has seen it fail
  kBusy,
  kDied,
  kFailed,  // answered with an error: its model could not be loaded there
  kTakenBack,
};

struct Served {
  std::uint32_t cached = 0;
  Durations durations;
};

// What was foretold of a request when it was sent: seconds until its first token, and by when nine
// of ten have theirs. Zero: nothing.
struct Foretold {
  float first_s = 0;
  float late_s = 0;
};

class Router {
 public:
  Router() = default;
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;
  virtual ~Router() = default;

  // Before everything else, at the beginning of time.
  virtual void begin(Instant, Orders&) {}
  virtual void arrived(JobIndex job, Instant now, Orders& orders) = 0;
  virtual void first_token(JobIndex, Instant, Orders&) {}
  virtual void progressed(JobIndex, std::uint64_t /*tokens*/, Instant, Orders&) {}
  virtual void ended(JobIndex job, Ending ending, const Served& served, Instant now,
                     Orders& orders) = 0;
  // /api/ps of an instance: what is loaded. Every few seconds, and so always of the past.
  virtual void polled(InstanceIndex, std::span<const ModelIndex>, Instant, Orders&) {}
  virtual void silent(InstanceIndex, Instant, Orders&) {}  // nobody answered the poll
  // The poll was not answered in time, and everything else there is.
  virtual void unanswered(InstanceIndex, Instant, Orders&) {}
  // A load that was ordered is over.
  virtual void loaded(InstanceIndex, ModelIndex, bool /*done*/, Instant, Orders&) {}
  virtual void woken(Instant, Orders&) {}
  // Wants progressed(), once a second for every answer under way.
  virtual bool follows_progress() const { return false; }
  // Each decision from now on; the watch outlives the router. For those whose time tells something.
  virtual void time_with(Stopwatch&) {}
  // Of the latest attempt, where the model was loaded.
  virtual Foretold foretold(JobIndex) const { return {}; }
};

}  // namespace drover::sim
