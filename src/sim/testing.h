#pragma once
// For tests of worlds: one run, from its scenario to its records.

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/experiment.h"

namespace drover::sim::testing {

struct Played {
  Scenario scenario;
  Workload workload;
  std::unique_ptr<World> world;

  Played(Scenario chosen, std::string_view policy, std::uint64_t seed)
      : Played(std::move(chosen), policy, seed, &faults_of) {}

  // With the faults that make(scenario, workload) returns.
  template <class Make>
  Played(Scenario chosen, std::string_view policy, std::uint64_t seed, Make make)
      : scenario(std::move(chosen)),
        workload(make_workload(scenario.traffic, scenario.fleet, seed)) {
    world = std::make_unique<World>(scenario.fleet, workload, make(scenario, workload));
    const auto router = find_policy(policy)->make(*world, seed);
    world->run(*router);
  }
};

inline Scenario scenario(std::string_view name, double rate, std::uint32_t requests) {
  Scenario found = *find_scenario(name);
  found.traffic.rate = rate;
  found.traffic.requests = requests;
  return found;
}

}  // namespace drover::sim::testing
