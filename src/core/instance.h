#pragma once
// Instance: everything the scheduler knows about one instance. Owned by the Scheduler; the picker
// and the refusals read it.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/fleet.h"
#include "core/health.h"

namespace drover::core {

struct Instance {
  Instance(BackendSpec configured, const Settings& settings)
      : spec(std::move(configured)), health(settings) {}

  BackendSpec spec;
  Health health;
  bool draining = false;

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
  bool lists(const ModelName& model) const;  // false while the catalogue is unknown
  bool has_loaded(
      const ModelName& model) const;  // by name, or under another name of the same digest
};

}  // namespace drover::core
