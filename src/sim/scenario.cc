#include "sim/scenario.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace drover::sim {
namespace {

struct Memory {
  std::string_view name;
  std::string_view meaning;
  double times;
};
constexpr std::array<Memory, 3> kMemory = {{{"fits", "all models fit once", 0.9},
                                            {"over", "models of 1.8 times the memory", 1.8},
                                            {"tight", "models of 3 times the memory", 3.0}}};
template <class Kind>
struct Word {
  std::string_view name;
  std::string_view meaning;
  Kind kind;
};
constexpr std::array<Word<Arrivals>, 5> kArrivals = {
    {{"poisson", "steady", Arrivals::kPoisson},
     {"gamma", "in clumps", Arrivals::kGamma},
     {"bursts", "in bursts of eight times the mean", Arrivals::kBursts},
     {"day", "two days and nights", Arrivals::kDay},
     {"shift", "other models become popular", Arrivals::kShift}}};
constexpr std::array<Word<Talk>, 3> kTalk = {{{"single", "single questions", Talk::kSingle},
                                              {"sessions", "conversations", Talk::kSessions},
                                              {"agents", "agents with tools", Talk::kAgents}}};
constexpr std::array<Word<Tenants>, 3> kTenants = {
    {{"one", "one tenant", Tenants::kOne},
     {"ten", "ten tenants", Tenants::kTen},
     {"aggressor", "ten tenants, one asking three times as much as the others together",
      Tenants::kAggressor}}};

// Calls visit(name, meaning, memory, arrivals, talk, tenants) for all of the matrix until it
// returns true.
template <class Visit>
bool walk(Visit visit) {
  for (const auto& memory : kMemory) {
    for (const auto& arrivals : kArrivals) {
      for (const auto& talk : kTalk) {
        for (const auto& tenants : kTenants) {
          const std::string name =
              fmt::format("{}-{}-{}-{}", memory.name, arrivals.name, talk.name, tenants.name);
          if (visit(name, memory, arrivals, talk, tenants)) return true;
        }
      }
    }
  }
  return false;
}

// One model on one GPU whose requests do not slow one another down; only writing takes time.
Scenario queue(std::uint32_t servers) {
  Scenario scenario;
  scenario.name = fmt::format("mm{}", servers);
  scenario.meaning =
      fmt::format("the textbook queue M/M/{}: one model, exponential answers", servers);
  Fleet& fleet = scenario.fleet;
  fleet.gpus = {gpu_kind("rtx4090")};
  fleet.hosts = {0};
  Model model;
  model.name = "chat-8b";
  model.slots = servers;
  fleet.models = {model};
  fleet.batch = 0;
  fleet.free_prefill = true;
  fleet.ram_cache_gb = 1;
  scenario.traffic.talk = Talk::kQueueing;
  const double service = scenario.traffic.mean_output * fleet.pace(0, 0).token;
  scenario.known_capacity = servers / service;
  return scenario;
}

Scenario trouble(std::string_view name) {
  Scenario scenario = *find_scenario("fits-poisson-sessions-one");
  scenario.name = name;
  const bool crash = name == "crash";
  scenario.trouble = crash ? Scenario::Trouble::kCrash : Scenario::Trouble::kSlow;
  scenario.meaning = crash ? "as fits-poisson-sessions-one; one RTX 4090 is away for a while"
                           : "as fits-poisson-sessions-one; one RTX 4090 has a third of its speed "
                             "for a while";
  return scenario;
}

// A job that could wait, behind the same proxy as nine people: only what it says tells it apart.
Scenario batch_job(std::string_view name) {
  Scenario scenario = *find_scenario("fits-poisson-sessions-aggressor");
  scenario.name = name;
  scenario.traffic.aggressor_is_batch = name == "batch";
  scenario.traffic.one_address = true;
  scenario.meaning =
      scenario.traffic.aggressor_is_batch
          ? "as fits-poisson-sessions-aggressor, all from one address; the aggressor says batch"
          : "the same, and the aggressor does not say so";
  return scenario;
}

// Two equal GPUs, as under many a desk: models that fit on one of them together.
Scenario pair(std::string_view name) {
  Scenario scenario;
  scenario.name = name;
  const bool alone = name == "pair-one";
  scenario.meaning = alone ? "two RTX 3090 and one model; conversations, steady"
                           : "two RTX 3090 and three models that fit on one; conversations, steady";
  const Fleet mixed = mixed_fleet(0.9);
  scenario.fleet.gpus = {gpu_kind("rtx3090"), gpu_kind("rtx3090")};
  scenario.fleet.hosts = {0, 0};
  for (const char* model : {"chat-8b", "small-3b", "chat-7b"}) {
    if (alone && !scenario.fleet.models.empty()) break;
    scenario.fleet.models.push_back(*std::ranges::find(mixed.models, model, &Model::name));
    if (!alone) scenario.fleet.models.back().slots = 2;
  }
  scenario.traffic.talk = Talk::kSessions;
  return scenario;
}

// Before the name of any other: the same machines, of which drover knows nothing.
constexpr std::string_view kForeign = "foreign-";

constexpr std::array<std::string_view, 2> kPairs = {"pair-one", "pair-three"};
constexpr std::array<std::string_view, 2> kBatches = {"batch", "batch-unsaid"};
constexpr std::array<std::string_view, 2> kTroubles = {"crash", "slow-gpu"};
constexpr std::array<std::uint32_t, 2> kQueues = {1, 4};

}  // namespace

std::vector<ScenarioLine> scenarios() {
  std::vector<ScenarioLine> lines;
  walk([&](const std::string& name, const auto& memory, const auto& arrivals, const auto& talk,
           const auto& tenants) {
    lines.push_back({name, fmt::format("{}; {}, {}; {}", memory.meaning, talk.meaning,
                                       arrivals.meaning, tenants.meaning)});
    return false;
  });
  for (const std::string_view name : kTroubles) {
    lines.push_back({std::string(name), trouble(name).meaning});
  }
  for (const std::string_view name : kBatches) {
    lines.push_back({std::string(name), batch_job(name).meaning});
  }
  for (const std::string_view name : kPairs) {
    lines.push_back({std::string(name), pair(name).meaning});
  }
  for (const std::uint32_t servers : kQueues) {
    const Scenario each = queue(servers);
    lines.push_back({each.name, each.meaning});
  }
  return lines;
}

std::optional<Scenario> find_scenario(std::string_view name) {
  if (name.starts_with(kForeign)) {
    std::optional<Scenario> same = find_scenario(name.substr(kForeign.size()));
    if (!same) return std::nullopt;
    same->name = name;
    same->meaning += "; of instances that drover does not run and knows nothing about";
    same->fleet.supervised = false;
    return same;
  }
  for (const std::string_view each : kTroubles) {
    if (each == name) return trouble(name);
  }
  for (const std::string_view each : kBatches) {
    if (each == name) return batch_job(name);
  }
  for (const std::string_view each : kPairs) {
    if (each == name) return pair(name);
  }
  for (const std::uint32_t servers : kQueues) {
    if (name == fmt::format("mm{}", servers)) return queue(servers);
  }
  std::optional<Scenario> found;
  walk([&](const std::string& each, const auto& memory, const auto& arrivals, const auto& talk,
           const auto& tenants) {
    if (each != name) return false;
    found.emplace();
    found->name = each;
    found->meaning = fmt::format("{}; {}, {}; {}", memory.meaning, talk.meaning, arrivals.meaning,
                                 tenants.meaning);
    found->fleet = mixed_fleet(memory.times);
    found->traffic.arrivals = arrivals.kind;
    found->traffic.talk = talk.kind;
    found->traffic.tenants = tenants.kind;
    return true;
  });
  return found;
}

std::vector<Fault> faults_of(const Scenario& scenario, const Workload& workload) {
  if (scenario.trouble == Scenario::Trouble::kNone) return {};
  const Duration third = workload.last_arrival.time_since_epoch() / 3;
  Fault fault;
  fault.kind =
      scenario.trouble == Scenario::Trouble::kCrash ? Fault::Kind::kCrash : Fault::Kind::kSlow;
  fault.from = Instant(third);
  fault.until = Instant(2 * third);
  return {fault};
}

}  // namespace drover::sim
