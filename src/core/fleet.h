#pragma once
// The fleet as decisions see it: instances, what they hold, how they are, what they owe.
// Fleet state has one writer, the Scheduler; everybody else reads FleetView, a value.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ask.h"
#include "base/gpu.h"
#include "base/ids.h"
#include "base/models.h"
#include "base/process.h"
#include "base/time.h"

namespace drover::core {

using Catalogue = std::vector<InstalledModel>;  // in a FleetView: sorted by name
using Residency = std::vector<LoadedModel>;

// Who moves an instance between these states: see health.h.
enum class HealthState : std::uint8_t {
  kUnknown,  // not heard of yet: never picked, and no proof that a model does not exist
  kUp,
  kProbation,  // answers again after being down: one client request at a time decides
  kDown,
  kDraining,  // by an operator: finishes what it has, gets nothing new
};
std::string_view to_string(HealthState state);

// Which devices an instance uses, as far as drover knows.
enum class Placement : std::uint8_t {
  kUnknown,   // somebody else runs it: its devices are its own business
  kPinned,    // to the devices named in the specification
  kSpanning,  // all devices, for models that fit on no single one; idle it holds no memory
};
std::string_view to_string(Placement placement);  // "unknown", "pinned", "spanning"

// Why an instance is restarted.
enum class RestartCause : std::uint8_t { kOperator, kHang, kCpuFallback };
std::string_view to_string(RestartCause cause);  // "operator", "hang", "cpu_fallback"

// An instance as configured.
struct BackendSpec {
  BackendId id;
  std::string name;                   // unique, for people and labels
  std::string url;                    // shown to people
  std::uint32_t max_in_flight = 512;  // Ollama's own queue bound; more would be answered 503
  bool supervised = false;            // the keeper runs it, so it can be restarted
  std::uint32_t slots = 4;            // of each model
  bool slots_are_told = false;        // else a foreign instance's may turn out to be more
  Placement placement = Placement::kUnknown;
  std::vector<std::string> gpus;  // UUIDs of its devices; empty: unknown, or the CPU
};

struct BackendView {
  BackendId id;
  std::string name;
  std::string url;
  HealthState health = HealthState::kUnknown;
  std::string reason;                          // why it is not up; empty when it is
  Instant since{};                             // of the health state
  std::uint32_t in_flight = 0;                 // leases
  std::uint32_t awaiting_first = 0;            // of these, without a content byte yet
  std::uint64_t served = 0;                    // requests completed
  std::uint64_t failed = 0;                    // attempts failed
  std::string version;                         // Ollama's; empty until heard
  std::shared_ptr<const Catalogue> catalogue;  // null: unknown
  std::shared_ptr<const Residency> residency;  // null: unknown
  bool supervised = false;
  Placement placement = Placement::kUnknown;
  std::vector<std::string> gpus;           // UUIDs
  std::optional<InstanceProcess> process;  // of a supervised one, once heard of
  bool restarting = false;                 // from the request until the new process answers
};

// Requests that wait for one model, and how long one more would, as predicted.
struct LineView {
  static constexpr std::size_t kMostShown = 64;
  ModelName model;
  std::uint64_t waiting = 0;
  Duration expected_wait{};
};

struct FleetView {
  std::vector<BackendView> backends;      // in configured order
  std::shared_ptr<const GpuReport> gpus;  // null: nobody reads them
  std::string policy;
  // With expected_completion: requests that wait for a slot, and how good its predictions are.
  std::uint64_t queued = 0;
  std::array<std::uint64_t, kPriorities> queued_of{};  // of these, by the priority they have now
  std::uint64_t queued_bytes = 0;                      // of their bodies
  std::vector<LineView> lines;                         // LineView::kMostShown at most
  std::uint64_t tenants = 0;                           // active ones: see fair_shares.h
  std::uint64_t predictions = 0;  // first tokens that came where the model was loaded
  double prediction_error = 0;    // |predicted - actual| / actual, mean of the last ones
  std::uint64_t generation = 0;
};

}  // namespace drover::core
