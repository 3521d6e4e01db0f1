#pragma once
// Picker: where does this request go? First every instance passes the filters, a table of plain
// questions in picker.cc; then the policy names a cost for each that is left, and the lowest wins.
//
// The policies, each one function from an instance to a cost compared field by field:
//
// round_robin   The one that was given a request for this model the longest time ago. Exact for
//               every mix of models and holder sets: n requests for one model over k equal
//               instances differ by at most one. Between instances that never had the model, the
//               one that was given anything the longest time ago.
// least_loaded  1. fewest requests under way, 2. fewest failures in a row, 3. has the model loaded,
//               4. was given a request the longest time ago.
//               Load comes before "loaded" on purpose. If it were the other way round, one GPU that
//               has the model would take everything while its twin idles, which is the very thing
//               people install a balancer against; the second GPU loads the model once, when the
//               first is busy. And it makes "never a busier instance" true without an exception.
//               Failures come second, because an instance that fails fast is always idle.
//
// expected_completion
//               The lowest predicted cost in seconds of somebody's delay (forecasts.h), of those
//               that could begin at once. If there is none, the request waits: for a free slot, or
//               until the model is loaded somewhere (placer.h). Within 1 % the one that was given a
//               request the longest time ago.
//
// Last resort. When all holders of a model that can be reached were put out by failed requests, or
// have their one request of probation under way, refusing everybody would turn a few bad requests
// into an outage. One first try per second and instance is let through. Never for retries: these
// would double the load of a fleet that fails.

#include <array>
#include <cstdint>
#include <list>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "core/events.h"
#include "core/forecasts.h"
#include "core/instance.h"
#include "core/room.h"
#include "core/settings.h"

namespace drover::core {

// Who was given a request for this model, and when. Remembers the 1024 models asked for last: a
// fleet has fewer; a client who invents names never gets this far.
class Rotation {
 public:
  static constexpr std::size_t kMaxModels = 1024;

  explicit Rotation(std::size_t instances) : instances_(instances) {}

  // Number of the last grant of this model to each instance; 0: never. Valid until granted().
  std::span<const std::uint64_t> of(const ModelName& model) const;
  void granted(const ModelName& model, BackendId backend, std::uint64_t number);

 private:
  struct Turns {
    ModelName model;
    std::vector<std::uint64_t> last;
  };
  std::size_t instances_;
  std::vector<std::uint64_t> never_ = std::vector<std::uint64_t>(instances_, 0);
  std::list<Turns> models_;  // used last first
  std::unordered_map<ModelName, std::list<Turns>::iterator> by_name_;
};

struct Pick {
  std::optional<BackendId> backend;
  bool model_loaded = false;
  Explanation why;
  // Nothing was picked, and memory is all that stands in somebody's way: worth a wait.
  bool crowded() const;
  // Nothing was picked, and somebody could take it later.
  bool waits = false;
  // With Prices: the model's number, and the predicted seconds until the first token.
  std::optional<ModelIndex> model;
  double first_s = 0;
  std::uint64_t cached_bytes = 0;  // of the prompt, that need not be read there
};

// What expected_completion goes by.
struct Prices {
  const Forecasts* forecasts = nullptr;  // null: another policy
  ModelIndex model = 0;
  // The last free slot of a busy GPU is kept for others, as many as the model has there.
  bool leaves_last_slot = false;
  const WaitQueue* queue = nullptr;
};

class Picker {
 public:
  // `variants` outlives the picker; null: what is loaded fits every request.
  Picker(PolicyName policy, std::size_t instances, const Variants* variants = nullptr)
      : policy_(policy), variants_(variants), rotation_(instances) {}

  // Changes nothing.
  Pick pick(std::span<const Instance> instances, const RequestArrived& request, const Room& room,
            Instant now, Prices prices = {}) const;
  // The pick was carried out.
  void granted(Instance& instance, const ModelName& model, const Pick& pick, Instant now,
               Duration last_resort_interval);

 private:
  void cheapest(std::span<const Instance> instances, const RequestArrived& request, Prices prices,
                Instant now, Pick& pick) const;
  bool is_ready(const Instance& instance, const Ask& ask) const;

  PolicyName policy_;
  const Variants* variants_;
  std::uint64_t grants_ = 0;
  Rotation rotation_;
};

}  // namespace drover::core
