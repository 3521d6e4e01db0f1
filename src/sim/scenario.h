#pragma once
// Scenario: a fleet and a kind of traffic with a name. The matrix is
//
//   {fits, over, tight} - {poisson, gamma, bursts, day, shift} - {single, sessions, agents}
//                       - {one, ten, aggressor}
//
// and beside it stand a few of their own: queues that theory can compute, and faults.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/world.h"

namespace drover::sim {

struct Scenario {
  std::string name;
  std::string meaning;  // one line
  Fleet fleet;
  Traffic traffic;  // its rate is set by the load
  enum class Trouble : std::uint8_t {
    kNone,
    kCrash,
    kSlow,
    kLostPolls,
    kNoPolls,
    kOutOfMemory,
    kStranger,
    kStrangers,
  };
  Trouble trouble = Trouble::kNone;
  // Requests a second that it can bear, where theory says so. Otherwise the clairvoyant does.
  std::optional<double> known_capacity;
};

struct ScenarioLine {
  std::string name;
  std::string meaning;
};
std::vector<ScenarioLine> scenarios();
std::optional<Scenario> find_scenario(std::string_view name);

// In the middle third of a run, at the first instance; kStrangers at every one.
std::vector<Fault> faults_of(const Scenario& scenario, const Workload& workload);

}  // namespace drover::sim
