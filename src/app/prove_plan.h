#pragma once
// What `drover prove` reads in a status: which instances can be compared, with which model, and
// what the reader of the result has to know about them.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace drover::app {

struct SeenInstance {
  std::string name;
  std::string url;
  std::string health;
  std::string reason;
  std::string placement;
  std::vector<std::string> gpus;  // UUIDs
  std::vector<std::string> models;
  std::vector<std::string> loaded;
  std::int64_t in_flight = 0;
  std::int64_t pid = 0;  // 0: not supervised, or not told yet

  bool told_models = true;  // false: drover has not read its catalogue yet

  bool has(std::string_view model) const;
  // Up, or only waiting for the request that decides, which it gets before it is measured.
  bool answers() const { return health == "up" || health == "probation"; }
};

struct SeenGpu {
  std::string uuid;
  std::int64_t index = 0;
  std::optional<double> utilization;  // 0 to 1
};

struct SeenFleet {
  std::vector<std::string> listen;
  std::vector<SeenInstance> instances;
  std::vector<SeenGpu> gpus;  // empty: nobody reads them

  const SeenInstance* find(std::string_view name) const;
};

// Errors: kUpstream when it is no status of drover.
Result<SeenFleet> read_fleet(std::string_view status_json);

struct ProvePlan {
  std::string model;                    // as the catalogue spells it
  std::vector<SeenInstance> instances;  // those that are measured; the first is measured alone
  std::vector<std::string> notes;       // what weakens the comparison, in sentences
};

// Errors (kUnavailable) with the remedy: fewer than two instances can be compared, nobody holds the
// model, other requests are under way. Without `model`: one that most of them have loaded, else
// the first by name that most of them hold.
Result<ProvePlan> plan_proof(const SeenFleet& fleet, const std::optional<std::string>& model);

}  // namespace drover::app
