#pragma once
// What the configuration says shall be so: which models are in how many stores, and which are
// loaded where. Picture a shop assistant who walks along the shelves every few seconds and orders
// what is missing: nothing is remembered of who took it away, and a second walk finds it in place.

#include <optional>
#include <string>
#include <vector>

#include "jobs/stores.h"

namespace drover::jobs {

struct Wanted {
  std::string shown;  // as configured
  ModelName model;
  std::optional<std::size_t> stores;  // none: it is not fetched; more than there are: all
  std::size_t loaded = 0;             // instances that shall have it loaded
  std::vector<BackendId> pinned;      // these at any rate
};

// One thing that is missing, and can be done now.
struct Lack {
  const Wanted* wanted = nullptr;
  std::optional<BackendId> load_on;  // none: it has to be fetched
};

// Nothing is missing where it is not known: an instance that was not heard yet may have it.
std::vector<Lack> lacking(const std::vector<Wanted>& wanted, const std::vector<Store>& stores,
                          const core::FleetView& fleet);

// {"models":[{"name","stores":{"wanted","have"},"loaded":{"wanted","have"}}…]}; "stores" is null
// for one that is not fetched.
std::string wanted_json(const std::vector<Wanted>& wanted, const std::vector<Store>& stores,
                        const core::FleetView& fleet);

}  // namespace drover::jobs
