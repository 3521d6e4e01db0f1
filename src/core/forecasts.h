#pragma once
// Forecasts: what a request would cost here or there, in seconds of somebody's delay.
//
// Everything is counted in one currency, so there are no weights to tune but one: a second of
// waiting for the first token hurts a reader five times as much as a second that the answer takes
// longer (kWriting). The cost of sending a request to an instance that can begin at once is
//
//   reading    what of its prompt is not computed there already (prefixes.h), behind those that are
//              being read, on a GPU shared by so many models
// + writing    its answer of the usual length in a batch so large, times kWriting
// + others     what those that write there already lose by it, times kWriting
//
// The ledger says who is there, Estimates how long things take, Seating who sits where. All of it
// is fed here, so that the scheduler has one place to tell what happened.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/estimates.h"
#include "core/instance.h"
#include "core/ledger.h"
#include "core/prefixes.h"
#include "core/seating.h"
#include "core/wait_queue.h"

namespace drover::core {

// A second of writing, in seconds of waiting for the first token.
inline constexpr double kWriting = 0.2;

// How good the predictions are: see Forecasts::record().
struct PredictionError {
  std::uint64_t samples = 0;  // first tokens that were predicted and came
  double mean = 0;            // of |predicted - actual| / actual, the latest the heaviest
  // Nine of ten of the latest came within so many times what was predicted.
  double late = 2;
};

class Forecasts {
 public:
  explicit Forecasts(std::span<const BackendSpec> specs);

  // The number of the model that is asked for; makes place for it. None: no catalogue lists it.
  std::optional<ModelIndex> model_of(std::span<const Instance> instances, const ModelName& name);
  const ModelName& name(ModelIndex model) const { return models_.name(model); }
  ModelIndex models() const { return static_cast<ModelIndex>(demand_.size()); }
  void hold(ModelIndex model) { models_.hold(model); }
  void release(ModelIndex model) { models_.release(model); }

  // What was learned, and what was learned in another life; instances as in Estimates.
  void write_down(Learned& to, const std::vector<std::string>& instances) const;
  void remember(const Learned& from, const std::vector<std::string>& instances);

  // --- what happens ---
  void arrived(ModelIndex model, Instant now);
  struct Predicted {
    double first_s = 0;              // until its first token; 0: nothing was predicted
    std::uint64_t cached_bytes = 0;  // of its prompt
  };
  Prediction granted(const Instance& instance, ModelIndex model, LeaseId lease, const Ask& ask,
                     const Predicted& predicted, Instant now);
  // The model, where it was not known to be loaded there until now.
  std::optional<ModelIndex> first_byte(BackendId backend, LeaseId lease, Instant now);
  void progressed(BackendId backend, LeaseId lease, std::uint64_t tokens, Instant now);
  void held_up(BackendId backend, LeaseId lease) { ledger_.held_up(backend, lease); }
  // The model whose slot is free now.
  std::optional<ModelIndex> ended(BackendId backend, const LeaseSettled& settled, Instant now);
  // Models that are ready there and were not before.
  std::vector<ModelIndex> looked(const Instance& instance, Instant now);
  void load_done(BackendId backend, ModelIndex model, bool loaded, Instant now);

  // --- questions ---
  struct Price {
    bool now = false;    // it could begin there at once
    double first_s = 0;  // until the first token
    double cost_s = 0;
    std::uint64_t cached_bytes = 0;
  };
  // Who has the beginning of the prompt.
  Prefixes::Found found(ModelIndex model, const Beginnings& prompt) const {
    return prefixes_.find(model, prompt);
  }
  struct Wanted {
    std::uint64_t prompt_bytes = 0;
    std::uint32_t kept = 0;            // as many have to stay free of a GPU that computes
    const WaitQueue* queue = nullptr;  // of those who wait for what leaves; null: nobody does
    Instant now{};
    const Prefixes::Found* found = nullptr;  // null: nothing is known of the prompt
  };
  Price price(const Instance& instance, ModelIndex model, const Wanted& wanted) const;
  // Somebody could begin there at once if no slot were kept for others. price() may still say no,
  // of a model that leaves, but never yes where this is false.
  bool has_free_slot(BackendId backend, ModelIndex model) const;
  // Seconds of reading that a prompt costs more there than where most of it is computed already.
  double away_s(BackendId backend, ModelIndex model, const Beginnings& prompt) const;
  // Requests of a model in the last minutes, by the second.
  double rate(ModelIndex model, Instant now) const;
  // Of those that it computes there, until the last is done.
  double drain_s(BackendId backend, ModelIndex model, Instant now) const;
  // Of an answer there, from grant to end, with all slots busy; by slot.
  double service_s(BackendId backend, ModelIndex model) const;
  // Of a usual request there, in a small batch: the GPU's time.
  double work_s(BackendId backend, ModelIndex model) const;
  // Until a request behind `ahead` others of its line has a slot.
  double wait_s(ModelIndex model, std::size_t ahead, Instant now) const;

  const Ledger& ledger() const { return ledger_; }
  const Estimates& estimates() const { return estimates_; }
  const Seating& seating() const { return seating_; }
  Seating& seating() { return seating_; }
  const PredictionError& error() const { return error_; }

 private:
  struct Demand {
    double requests = 0;  // fading
    Instant at{};
    Instant since{};            // the first
    double fresh_tokens = 500;  // of a usual prompt, that have to be read
  };
  ModelIndex number(const std::string& key, const ModelName& name);
  void learn(BackendId backend, const Ledger::Ended& ended, const Usage& usage, Instant now);
  void record(const Ledger::Open& open, Instant now);
  double remaining_s(BackendId backend, const Ledger::Open& open, Instant now) const;
  double cache_tokens(const Pair& pair) const;
  void remember(const Pair& pair, const Ledger::Open& open, const Usage& usage);
  std::optional<double> joining_s(const Pair& pair, double answer_s, const Wanted& wanted) const;

  ModelTable models_;
  Ledger ledger_;
  Estimates estimates_;
  Seating seating_;
  Prefixes prefixes_;
  std::vector<Demand> demand_;  // by model
  PredictionError error_;
};

}  // namespace drover::core
