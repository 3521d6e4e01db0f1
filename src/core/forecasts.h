#pragma once
// Forecasts: what a request would cost here or there, in seconds of somebody's delay.
//
// Everything is counted in one currency, so there are no weights to tune but one: a second of
// waiting for the first token hurts a reader five times as much as a second that the answer takes
// longer (kWriting). The cost of sending a request to an instance that can begin at once is
//
//   reading    its prompt, behind those that are being read, on a GPU shared by so many models
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
#include "core/seating.h"

namespace drover::core {

// A second of writing, in seconds of waiting for the first token.
inline constexpr double kWriting = 0.2;

// How good the predictions are: see Forecasts::record().
struct PredictionError {
  std::uint64_t samples = 0;  // first tokens that were predicted and came
  double mean = 0;            // of |predicted - actual| / actual, the latest the heaviest
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
  // `first_s`: predicted until its first token; 0: nothing was.
  void granted(const Instance& instance, ModelIndex model, LeaseId lease, const Ask& ask,
               double first_s, Instant now);
  void first_byte(BackendId backend, LeaseId lease, Instant now);
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
  };
  // `kept`: slots that have to stay free, where some are taken.
  Price price(const Instance& instance, ModelIndex model, std::uint64_t prompt_bytes,
              std::uint32_t kept = 0) const;
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
    Instant since{};             // the first
    double prompt_tokens = 500;  // usual
  };
  ModelIndex number(const std::string& key, const ModelName& name);
  void learn(BackendId backend, const Ledger::Ended& ended, const Usage& usage, Instant now);
  void record(const Ledger::Open& open, Instant now);
  double remaining_s(BackendId backend, const Ledger::Open& open, Instant now) const;

  ModelTable models_;
  Ledger ledger_;
  Estimates estimates_;
  Seating seating_;
  std::vector<Demand> demand_;  // by model
  PredictionError error_;
};

}  // namespace drover::core
