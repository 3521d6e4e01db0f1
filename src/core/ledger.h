#pragma once
// Ledger: what drover has given to whom and how far it has come. One per scheduler, for all
// instances: /api/ps says nothing about requests, so this is all that is known about load.
//
// A request reads (its prompt) until its first byte, then writes. For every instance the ledger
// also keeps time: how many requests of the model wrote and how many models computed while this
// request did, so that what it took can be laid at the right door.

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ask.h"
#include "base/ids.h"
#include "base/time.h"
#include "core/model_table.h"

namespace drover::core {

class Ledger {
 public:
  explicit Ledger(std::size_t instances) : sites_(instances) {}

  // Integrals over time, in seconds: of the model's requests that write, of the instance's models
  // that compute. Differences of two marks are what counts.
  struct Mark {
    double writing = 0;
    double models = 0;
  };
  // Thousands are kept at once, so what need not be exact to the last digit is a float.
  struct Open {
    double fresh_tokens = 0;   // of its prompt, that have to be read: estimated
    double cached_tokens = 0;  // the others
    Instant granted{};
    Instant first = kNever;  // byte
    Instant told_at{};       // of its progress
    Beginnings beginnings;
    Mark at_first;  // byte
    // Mark::models at its first byte, until then zero, less that at its grant.
    double reading_models = 0;
    float told = 0;  // tokens
    float prompt_bytes = 0;
    float first_in_s = 0;  // predicted, until the first byte
    ModelIndex model = 0;
    std::uint32_t rank = 1;    // requests of the model when it came, itself included
    std::uint32_t behind = 0;  // of these, whose prompts had to be read first
    bool ready = true;         // the model was loaded when it came
    bool held_up = false;      // its client was slow at some time: its own clock lies
    bool writes() const { return first != kNever; }
  };
  static_assert(sizeof(Open) <= 104, "as many of these as streams");
  struct Active {  // a model with requests at an instance
    ModelIndex model = 0;
    std::uint32_t running = 0;
    std::uint32_t reading = 0;  // of these
    double writing_s = 0;       // see Mark
  };
  struct Site {
    std::vector<Open> open;  // in no order
    // Of these, in the same order: what is looked for is found eight to a line of the processor's
    // cache, where an Open takes two lines.
    std::vector<LeaseId> leases;
    std::vector<Active> active;
    double models_s = 0;
    Instant counted{};
    // Of the last half minute, the later the heavier: the part of the time that something computed,
    // and how many models did, in the mean.
    double busy = 0;
    double models = 0;
  };

  void granted(BackendId backend, LeaseId lease, Open open, Instant now);
  // Null: it has begun to write before, or is not known.
  const Open* first_byte(BackendId backend, LeaseId lease, Instant now);
  void progressed(BackendId backend, LeaseId lease, double tokens, Instant now);
  void held_up(BackendId backend, LeaseId lease);
  struct Ended {
    Open open;
    Mark at_end;
  };
  std::optional<Ended> ended(BackendId backend, LeaseId lease, Instant now);

  std::uint32_t instances() const { return static_cast<std::uint32_t>(sites_.size()); }
  const Site& site(BackendId backend) const { return sites_[backend.value]; }
  // None: nothing of the model is there.
  const Active* active(BackendId backend, ModelIndex model) const;
  std::uint32_t running(BackendId backend, ModelIndex model) const;
  void pass(Instant now);  // time, for everybody

 private:
  static void count(Site& site, Instant now);
  static Open* find(Site& site, LeaseId lease);
  static Active& of(Site& site, ModelIndex model);
  static Mark mark(const Site& site, const Active& active) {
    return {active.writing_s, site.models_s};
  }

  std::vector<Site> sites_;
};

}  // namespace drover::core
