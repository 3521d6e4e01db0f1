#pragma once
// Everything that can happen to the fleet, and everything that a decision can cause. Values: a test
// compares lists of them, the simulator and the engine carry them out.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/ask.h"
#include "base/error.h"
#include "base/ids.h"
#include "core/fleet.h"
#include "core/variants.h"

namespace drover::core {

// Why a request asks again. The first retry of a request lost with a dying instance is exempt from
// the budget: it is not the client's load that killed it.
enum class RetryCause : std::uint8_t { kFirstTry, kInstanceDied, kInstanceFailed, kBusy, kNoModel };

// One candidate as the picker saw it, and why it was passed over.
enum class Filtered : std::uint8_t {
  kNot,      // eligible
  kUnknown,  // never answered yet, or its models are not known yet
  kDown,
  kDraining,
  kProbation,  // its one probation request is under way
  kNoModel,    // its store does not have the model
  kFull,       // max_in_flight reached
  kTried,      // this request failed there already
  kTooLarge,   // the model is larger than all memory of its GPUs
  kReserved,   // spans GPUs for models that fit on no single one; this one does
  kNotTheOne,  // the request may go to another one only
  kCrowded,    // memory of its GPUs has to be made free first, or is being made free for another
};
std::string_view to_string(Filtered reason);

struct Candidate {
  BackendId backend;
  Filtered filtered = Filtered::kNot;
  bool model_loaded = false;
  std::uint32_t in_flight = 0;
  // What it would cost to send the request there, in seconds of somebody's delay; negative: the
  // policy does not say.
  float cost_s = -1;
};

// "Why did it go there?", complete: the log line, the debug header and the tests read this.
struct Explanation {
  std::string_view policy;            // a literal
  std::vector<Candidate> candidates;  // one per instance, configured order
  std::optional<BackendId> chosen;
  // In its line when it came; 0: it did not wait.
  std::uint32_t waited_as = 0;
  Priority priority = Priority::kNormal;
  // Every holder that answers is put out: one request a second is let through all the same.
  bool last_resort = false;
  std::optional<Reload> reload;                         // that it causes where it goes
  std::string to_string(const FleetView& names) const;  // one line for people
};

// --- events ---

struct RequestArrived {
  RequestId request;
  Ask ask;
  RetryCause cause = RetryCause::kFirstTry;
  std::uint32_t attempt = 0;     // 0 first
  std::vector<BackendId> tried;  // instances that failed this request
};
struct RequestGone {  // while waiting for a decision
  RequestId request;
};
struct LeaseFirstByte {  // the client was sent content: no retry from here on
  LeaseId lease;
};
struct LeaseProgress {  // its stream went on; at most one a second
  LeaseId lease;
  std::uint64_t tokens = 0;  // records so far
};
// The instance's answer waits because the client takes nothing: its silence is not the instance's.
struct LeaseHeldUp {
  LeaseId lease;
  bool by_client = false;
};

// How one attempt at one instance ended.
enum class AttemptResult : std::uint8_t {
  kServed,  // complete answer; also a 4xx that is the client's own
  kClientGone,
  kBusy,      // 503: load, not illness
  kNoModel,   // 404: the catalogue was wrong
  kRefused,   // connection refused: nobody listens
  kDied,      // connection reset or closed before or in the answer
  kFailed,    // an error answer or error record, malformed answer, no terminal record
  kTimedOut,  // no first token, or a gap, beyond the deadline
  kRevoked,   // taken back by RevokeLease
  kOwnFault,  // drover itself could not go on: says nothing about the instance
  kTooLate,   // the request's own deadline passed: says nothing about the instance
};
std::string_view to_string(AttemptResult result);

struct LeaseSettled {
  LeaseId lease;
  AttemptResult result = AttemptResult::kServed;
  std::string detail;  // one sentence when it failed
  Usage usage;
};

// What a probe saw.
struct Observed {
  enum class Kind : std::uint8_t {
    kAnswered,         // the check got an HTTP answer
    kRefused,          // connection refused
    kMissed,           // timeout, reset, or no sensible HTTP
    kCatalogue,        // /api/tags read; also an answer
    kResidency,        // /api/ps read; also an answer
    kResidencyMissed,  // /api/ps not in time: two in a row are forgiven
    kVersion,
  };
  BackendId backend;
  Kind kind = Kind::kAnswered;
  std::shared_ptr<const Catalogue> catalogue;  // with kCatalogue, in any order
  std::shared_ptr<const Residency> residency;  // with kResidency
  std::string version;                         // with kVersion
  std::string detail;                          // for kRefused, kMissed: one sentence
};

// Every instance was asked for its catalogue and has answered or failed: the one reply to each
// RefreshCatalogues, after the observations that it caused.
struct RefreshDone {};
// What the keeper sees: the devices of this machine, and the process of a supervised instance.
struct GpusObserved {
  std::shared_ptr<const GpuReport> report;
};
struct ProcessObserved {
  BackendId backend;
  InstanceProcess process;
};
struct DrainChanged {
  BackendId backend;
  bool draining = false;
};
// For a supervised instance only: see restart.h.
struct RestartRequested {
  BackendId backend;
  RestartCause cause = RestartCause::kOperator;
  std::string reason;             // one sentence
  std::optional<Duration> grace;  // for what is under way; absent: Settings::drain_grace
};
// The one reply to each Canary.
struct CanaryDone {
  BackendId backend;
  bool answered = false;  // a token came in time
  std::string detail;     // why not; one sentence
};
// A model shall be loaded there, because it is configured so. Where it is not possible just now
// nothing comes of it; it is said again as long as it is not so.
struct LoadWanted {
  BackendId backend;
  ModelName model;
};
// The one reply to each Load.
struct LoadDone {
  BackendId backend;
  ModelName model;
  bool loaded = false;
  std::string detail;  // why not; one sentence
};
struct Tick {};

using Event = std::variant<RequestArrived, RequestGone, LeaseFirstByte, LeaseProgress, LeaseHeldUp,
                           LeaseSettled, Observed, RefreshDone, GpusObserved, ProcessObserved,
                           DrainChanged, RestartRequested, CanaryDone, LoadWanted, LoadDone, Tick>;

// --- effects ---

// When the first token is expected, in seconds from the grant. Zero: nothing is predicted, by the
// policy, or of a model that has to be loaded first.
struct Prediction {
  float first_s = 0;
  float late_s = 0;  // nine of ten come by then
};
struct Grant {
  RequestId request;
  LeaseId lease;
  BackendId backend;
  bool model_loaded = false;
  VariantOrder variant;
  Explanation why;
  Prediction prediction;
};
struct Refuse {
  RequestId request;
  Error error;                          // kNoSuchModel, kUnavailable, kTooBig, kUpstream
  std::optional<Duration> retry_after;  // with kUnavailable
  Explanation why;
};
struct RevokeLease {  // its instance was declared down before the first content byte
  LeaseId lease;
};
struct RefreshCatalogues {};  // ask every instance for its catalogue now, then RefreshDone
struct HealthChanged {        // for the log and metrics
  BackendId backend;
  HealthState from = HealthState::kUnknown;
  HealthState to = HealthState::kUnknown;
  std::string reason;
};
// Whoever runs the instance ends its process and starts a new one. Nothing that can still be saved
// is under way there.
struct RestartInstance {
  BackendId backend;
  RestartCause cause = RestartCause::kOperator;
  std::string reason;
};
struct Canary {  // ask it for one token of a model that it has loaded, then CanaryDone
  BackendId backend;
  ModelName model;
  std::optional<std::uint64_t> num_ctx;  // as it was loaded, when that was said; else a reload
};
enum class UnloadReason : std::uint8_t { kRoom, kCpuFallback, kPlacement };
std::string_view to_string(UnloadReason reason);  // "room", "cpu_fallback", "placement"
struct Unload {  // take an idle model out of memory, then look at what is loaded
  BackendId backend;
  ModelName model;
  UnloadReason reason = UnloadReason::kRoom;
};
enum class LoadReason : std::uint8_t {
  kDemand,  // somebody waits, and nobody has it loaded
  kCopy,    // those who have it loaded are busy
  kWanted,  // it is configured so
};
std::string_view to_string(LoadReason reason);  // "demand", "copy", "wanted"
struct Load {                                   // bring a model into memory, then LoadDone
  BackendId backend;
  ModelName model;
  LoadReason reason = LoadReason::kDemand;
};
// Something that an operator wants to hear of, for the log and metrics.
struct Incident {
  enum class Kind : std::uint8_t { kHang, kCpuFallback };
  BackendId backend;
  Kind kind = Kind::kHang;
  std::string detail;
};
struct WakeAt {  // send Tick then; a later WakeAt replaces it
  Instant when;
};

using Effect = std::variant<Grant, Refuse, RevokeLease, RefreshCatalogues, HealthChanged,
                            RestartInstance, Canary, Load, Unload, Incident, WakeAt>;
using Effects = std::vector<Effect>;

}  // namespace drover::core
