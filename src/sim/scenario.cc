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

struct TroubleText {
  std::string_view name;
  Scenario::Trouble kind;
  std::string_view base;  // where it comes on top
  std::string_view meaning;
};
constexpr std::string_view kFits = "fits-poisson-sessions-one";
constexpr std::string_view kOver = "over-poisson-sessions-one";
constexpr std::array<TroubleText, 7> kTroubles = {{
    {"crash", Scenario::Trouble::kCrash, kFits, "one RTX 4090 is away for a while"},
    {"slow-gpu", Scenario::Trouble::kSlow, kFits,
     "one RTX 4090 has a third of its speed for a while"},
    {"lost-polls", Scenario::Trouble::kLostPolls, kFits,
     "half of the polls of one RTX 4090 are lost for a while"},
    {"no-polls", Scenario::Trouble::kNoPolls, kFits,
     "one RTX 4090 serves and does not answer polls for a while"},
    // Where all models fit hardly anybody loads.
    {"oom-load", Scenario::Trouble::kOutOfMemory, kOver,
     "loads of one RTX 4090 run out of memory for a while"},
    {"stranger", Scenario::Trouble::kStranger, kFits,
     "somebody else uses one RTX 4090 for a while"},
    {"strangers", Scenario::Trouble::kStrangers, kFits,
     "others use all instances a little for a while"},
}};

Scenario trouble(const TroubleText& text) {
  Scenario scenario = *find_scenario(text.base);
  scenario.name = text.name;
  scenario.trouble = text.kind;
  scenario.meaning = fmt::format("as {}; {}", text.base, text.meaning);
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
// And the same in a world in which hardly anything is as drover believes before it has learned.
constexpr std::string_view kUnlike = "unlike-";

void make_unlike(Fleet& fleet) {
  fleet.prefill_share = 0.4;    // 0.7
  fleet.bytes_per_token = 2.5;  // 4: code, or another script
  fleet.batch = 0.35;           // 0.15: small models, whose steps are the processor's work
  fleet.disk_gb_s = 0.55;       // 2.5: SATA
  fleet.ram_cache_gb = 1;       // 8: prompts are forgotten sooner
}

constexpr std::array<std::string_view, 2> kPairs = {"pair-one", "pair-three"};
constexpr std::array<std::string_view, 2> kBatches = {"batch", "batch-unsaid"};
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
  for (const TroubleText& text : kTroubles) {
    lines.push_back({std::string(text.name), trouble(text).meaning});
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
  if (name.starts_with(kUnlike)) {
    std::optional<Scenario> same = find_scenario(name.substr(kUnlike.size()));
    if (!same) return std::nullopt;
    same->name = name;
    same->meaning += "; in a world unlike what drover believes at first";
    make_unlike(same->fleet);
    return same;
  }
  for (const TroubleText& text : kTroubles) {
    if (text.name == name) return trouble(text);
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

namespace {

// Requests a second of one who has an RTX 4090 to himself: half of its time. And of one of many.
constexpr double kStranger = 0.25;
constexpr double kOneOfMany = 0.08;
// Nobody works with a dozen models.
constexpr std::size_t kStrangersModels = 3;

// Single questions, for a few of the models that the instance can hold.
std::vector<Job> requests_of_stranger(const Fleet& fleet, const Fault& fault, double rate) {
  Rng rng(fault.seed);
  std::vector<ModelIndex> able;
  for (ModelIndex m = 0; m < fleet.models.size(); ++m) {
    if (fleet.fits(fault.instance, m)) able.push_back(m);
  }
  Fleet seen;
  std::vector<ModelIndex> chosen;
  while (chosen.size() < kStrangersModels && !able.empty()) {
    const auto next = able.begin() + static_cast<std::ptrdiff_t>(rng.below(able.size()));
    chosen.push_back(*next);
    seen.models.push_back(fleet.models[*next]);
    able.erase(next);
  }
  Traffic traffic;
  traffic.rate = rate;
  traffic.requests = 1 + static_cast<std::uint32_t>(rate * to_seconds(fault.until - fault.from));
  std::vector<Job> requests;
  for (Job job : make_workload(traffic, seen, rng.next()).jobs) {
    job.model = chosen[job.model];
    job.planned += fault.from.time_since_epoch();
    // None of the conversations that the workload knows.
    job.session = UINT32_MAX - (fault.instance << 20U) - job.session;
    if (job.planned < fault.until) requests.push_back(job);
  }
  return requests;
}

}  // namespace

std::vector<Fault> faults_of(const Scenario& scenario, const Workload& workload) {
  const Duration third = workload.last_arrival.time_since_epoch() / 3;
  Fault fault;
  fault.from = Instant(third);
  fault.until = Instant(2 * third);
  fault.seed = workload.seed;
  switch (scenario.trouble) {
    case Scenario::Trouble::kNone:
      return {};
    case Scenario::Trouble::kCrash:
      fault.kind = Fault::Kind::kCrash;
      return {fault};
    case Scenario::Trouble::kSlow:
      fault.kind = Fault::Kind::kSlow;
      return {fault};
    case Scenario::Trouble::kLostPolls:
    case Scenario::Trouble::kNoPolls:
      fault.kind = Fault::Kind::kLostPolls;
      if (scenario.trouble == Scenario::Trouble::kLostPolls) fault.lost = 0.5;
      return {fault};
    case Scenario::Trouble::kOutOfMemory:
      fault.kind = Fault::Kind::kOutOfMemory;
      return {fault};
    case Scenario::Trouble::kStranger:
    case Scenario::Trouble::kStrangers:
      break;
  }
  fault.kind = Fault::Kind::kStrangers;
  const bool many = scenario.trouble == Scenario::Trouble::kStrangers;
  std::vector<Fault> faults;
  for (InstanceIndex i = 0; i < (many ? scenario.fleet.gpus.size() : 1); ++i) {
    fault.instance = i;
    fault.seed = workload.seed * 1'000 + i;
    fault.requests = requests_of_stranger(scenario.fleet, fault, many ? kOneOfMany : kStranger);
    faults.push_back(fault);
  }
  return faults;
}

}  // namespace drover::sim
