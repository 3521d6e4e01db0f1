#pragma once
// What is measured: the situations, and for each the figures that are compared. The bounds are
// the project's own: see docs/performance.md.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "backend.h"
#include "load.h"

namespace drover::bench {

// Which cores the programs run on. "Apart" needs two: one for the proxy, the rest for the tools.
enum class Layout : std::uint8_t {
  kApart,
  kOneCore,  // everything on one: no wake-up across cores, which costs more than the proxy does
  kShared,   // everything on all: only for what is compared with itself
};

enum class Shape : std::uint8_t { kLoop, kHold };

struct Scenario {
  std::string_view name;
  std::string_view what;
  Layout layout = Layout::kApart;
  Shape shape = Shape::kLoop;
  Question question = {};
  std::uint32_t connections = 1;
  BackendOptions backend = {};
  bool by_loops = false;  // drover alone, with one IO loop and with two
  // Not 0: how often records come is found in each round, so that with the yardstick the busier of
  // the proxy's and the tools' cores has this share of its time to do.
  double busy = 0;
};
inline constexpr std::string_view kLoopsScenario = "loops";
std::span<const Scenario> scenarios();

// A figure of a scenario.
struct Measure {
  std::string_view scenario;
  std::string_view name;   // for programs
  std::string_view title;  // for people, with the unit
  double (*value)(const LoadReport&) = nullptr;
  enum class Against : std::uint8_t { kValue, kAdded } against = Against::kValue;
  enum class Better : std::uint8_t { kLess, kMore } better = Better::kLess;
  // Of drover's ratio to bare HAProxy (with by_loops: of two loops to one).
  std::optional<double> must = {};
  std::optional<double> aim = {};
};
std::span<const Measure> measures();

// How many connections are held when memory is read; the slope between the two is what one costs.
struct Held {
  std::uint32_t few = 1000;
  std::uint32_t many = 3000;
};

struct Timing {
  double seconds = 3;  // of a sample
  Held held;
};
LoadPlan plan_of(const Scenario& scenario, const Timing& timing);

}  // namespace drover::bench
