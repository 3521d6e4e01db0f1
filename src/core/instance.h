#pragma once
// Instance: everything the scheduler knows about one instance. Owned by the Scheduler; the picker
// and the refusals read it.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/fallback_watch.h"
#include "core/fleet.h"
#include "core/hang_watch.h"
#include "core/health.h"
#include "core/restart.h"

namespace drover::core {

struct Instance {
  Instance(BackendSpec configured, const Settings& settings)
      : spec(std::move(configured)), health(settings), hang(settings.hang, spec), fallback(spec) {}

  BackendSpec spec;
  Health health;
  bool draining = false;  // by an operator's word
  Restart restart;
  HangWatch hang;
  FallbackWatch fallback;

  std::uint32_t in_flight = 0;
  std::uint32_t awaiting_first = 0;
  std::uint32_t in_flight_of_term = 0;  // granted since it last went down: probation allows one
  std::uint64_t served = 0;
  std::uint64_t failed = 0;
  std::uint64_t last_granted = 0;  // number of the grant; 0: never
  Instant next_last_resort{};      // see picker.h

  std::string version;
  std::shared_ptr<const Catalogue> catalogue;  // null: unknown
  std::shared_ptr<const Residency> residency;  // null: unknown
  std::optional<InstanceProcess> process;      // of a supervised one, once heard of
  std::uint64_t catalogue_refresh = 0;         // the newest refresh that this catalogue answers

  // What people see: an operator's drain covers what the checks say.
  HealthState shown_state() const;
  std::string shown_reason() const;
  // The keeper starts it for the first time, and it has not answered yet.
  bool is_starting() const {
    const bool runs = process && process->state == ProcessState::kRunning;
    return spec.supervised && !runs && health.state() == HealthState::kUnknown;
  }
  bool taken_out() const { return draining || restart.under_way(); }
  bool lists(const ModelName& model) const;  // false while the catalogue is unknown
  const InstalledModel* installed(const ModelName& model) const;  // null: not listed
  // One name, or two names of the same weights.
  bool are_one(const ModelName& model, const ModelName& other) const;
  // By name, or under another name of the same digest; null: not loaded, or not known.
  const LoadedModel* loaded_entry(const ModelName& model) const;
  bool has_loaded(const ModelName& model) const { return loaded_entry(model) != nullptr; }

 private:
  // What installed() found last, and in which catalogue.
  mutable std::shared_ptr<const Catalogue> found_in_;
  mutable const InstalledModel* found_last_ = nullptr;
};

}  // namespace drover::core
