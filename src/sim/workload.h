#pragma once
// Workload: all requests of a run, made before it begins, so that every policy meets the same
// traffic. The second turn of a conversation comes when the first was answered and its reader has
// thought: the gap is part of the workload, the instant is not.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "sim/fleet.h"
#include "sim/samplers.h"

namespace drover::sim {

using JobIndex = std::uint32_t;
inline constexpr JobIndex kNoJob = UINT32_MAX;

// One request. Tokens unless a name says otherwise.
struct Job {
  ModelIndex model = 0;
  std::uint32_t tenant = 0;
  std::uint32_t session = 0;
  std::uint32_t prompt = 1;
  std::uint32_t history = 0;  // of the prompt: what the turn before said and was answered
  std::uint32_t shared = 0;   // of the prompt: the system prompt that all of its model begin with
  std::uint32_t output = 1;
  std::uint32_t num_ctx = 0;  // asked for; 0: as the model is configured
  JobIndex next = kNoJob;     // the next turn
  bool first = true;          // of its conversation
  bool batch = false;         // says that it can wait
  bool keep_alive = false;    // says how long the model has to stay
  Duration gap{};             // thinking before it; first turns: not used
  Instant planned{};          // of first turns the arrival; later: if answers took no time
};

enum class Arrivals : std::uint8_t { kPoisson, kGamma, kBursts, kDay, kShift };
enum class Talk : std::uint8_t { kSingle, kSessions, kAgents, kQueueing };
enum class Tenants : std::uint8_t { kOne, kTen, kAggressor };

struct Traffic {
  Arrivals arrivals = Arrivals::kPoisson;
  Talk talk = Talk::kSingle;
  Tenants tenants = Tenants::kOne;
  double rate = 1;                  // requests a second; an aggressor comes on top
  bool aggressor_is_batch = false;  // and says so
  bool one_address = false;         // all come through one proxy: drover takes them for one tenant
  std::uint32_t requests = 4000;
  double popularity = 1.0;   // exponent of Zipf over the models
  double mean_output = 200;  // of kQueueing
};

struct Workload {
  std::vector<Job> jobs;           // turns of a conversation follow one another
  std::vector<JobIndex> arrivals;  // first turns, in order of time
  std::uint32_t tenants = 1;
  bool one_address = false;
  Instant last_arrival{};  // of first turns
  std::uint64_t seed = 0;  // that made it; what goes wrong meanwhile is drawn from it, too
};

Workload make_workload(const Traffic& traffic, const Fleet& fleet, std::uint64_t seed);

constexpr Duration seconds_of(double seconds) {
  return Duration(static_cast<Duration::rep>(seconds * 1e9));
}

}  // namespace drover::sim
