// What the scheduler promises, by the names that its design gives these promises:
//
//   I1  nobody waits beside a free slot                 I6  backlogged tenants get equal parts
//   I2  nobody waits for ever                           I7  one answer for each request
//   I3  no more at once than slots, loads and memory    I8  a load is worth its time
//   I4  every table has a bound                         I9  same events, same decisions
//   I5  nobody is lost or counted twice                 I10 one instance more makes nothing dearer
//
// Fleets live at random (random_life.h) for a million events. DROVER_EVENTS=n lives n events,
// DROVER_LONG=1 ten million, DROVER_SEED=n that life alone; a failure names its seed.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <queue>

#include "core/random_life.h"

namespace drover::core {
namespace {

using namespace std::chrono_literals;
using testing::Digest;
using testing::Findings;
using testing::Insight;
using testing::Life;
using testing::Logged;
using testing::Machine;
using testing::Manner;
using testing::Promise;

constexpr std::uint64_t kUsualEvents = 1'000'000;
constexpr std::uint64_t kLongEvents = 10'000'000;
constexpr std::size_t kEventsOfALife = 5'000;

std::uint64_t number_from(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
}

Findings live_all() {
  Findings findings;
  const std::uint64_t only = number_from("DROVER_SEED");
  std::uint64_t events = number_from("DROVER_LONG") != 0 ? kLongEvents : kUsualEvents;
  if (const std::uint64_t wanted = number_from("DROVER_EVENTS")) events = wanted;
  if (only != 0) events = 1;
  for (std::uint64_t seed = only != 0 ? only : 1; findings.events < events; ++seed) {
    Life life(seed, seed % 2 == 0 ? Manner::kCalm : Manner::kWild, findings);
    life.live(kEventsOfALife);
    life.end();
  }
  return findings;
}

// All lives are lived once, and each test asks for one of the promises.
class Invariants : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { found_ = std::make_unique<Findings>(live_all()); }
  static void TearDownTestSuite() { found_.reset(); }
  // That a promise was put to the test. One life alone need not do that.
  static void expect_tried(bool tried) { EXPECT_TRUE(tried || number_from("DROVER_SEED") != 0); }
  static std::unique_ptr<Findings> found_;
};
std::unique_ptr<Findings> Invariants::found_;

TEST_F(Invariants, I1NobodyWaitsBesideAFreeSlot) {
  EXPECT_EQ(found_->of(Promise::kI1), "");
  expect_tried(found_->waited > found_->granted / 100);
  expect_tried(found_->held_back > 0);
}

TEST_F(Invariants, I2NobodyWaitsForEverAndInACalmFleetEverybodyIsServed) {
  EXPECT_EQ(found_->of(Promise::kI2), "");
  expect_tried(found_->served_late > 0);
}

TEST_F(Invariants, I3NoMoreAtOnceThanSlotsLoadsAndMemoryAllow) {
  EXPECT_EQ(found_->of(Promise::kI3), "");
  expect_tried(found_->full_slots > 0);
  expect_tried(found_->swaps > 0);
}

TEST_F(Invariants, I4QueuesStayWithinTheirBounds) {
  EXPECT_EQ(found_->of(Promise::kI4), "");
  expect_tried(found_->full_queues > 0);
}

TEST_F(Invariants, I5NobodyIsLostOrCountedTwiceAndCountsReturnToZero) {
  EXPECT_EQ(found_->of(Promise::kI5), "");
  expect_tried(found_->crashes > 0);
  expect_tried(found_->refused > 0);
}

TEST_F(Invariants, I7OneAnswerForEachRequestAndNoneTakenBackBehindItsFirstByte) {
  EXPECT_EQ(found_->of(Promise::kI7), "");
  expect_tried(found_->revoked > 0);
  expect_tried(found_->retried > 0);
}

TEST_F(Invariants, I8ALoadIsWorthItWhileSomebodyWaitsForIt) {
  EXPECT_EQ(found_->of(Promise::kI8), "");
  expect_tried(found_->spared > 0);
}

// --- tables ---

TEST(Invariant, I4WhatIsRememberedOfModelsAndTenantsHasABound) {
  Settings settings;
  settings.policy = PolicyName::kExpectedCompletion;
  Scheduler scheduler(settings, testing::specs(2));
  Effects effects;
  Instant now(1000s);
  auto store = std::make_shared<Catalogue>();
  for (int i = 0; i < 3000; ++i) {
    InstalledModel model;
    model.shown_name = "m" + std::to_string(10'000 + i);
    model.name = ModelName::canonical(model.shown_name);
    model.digest = "sha256:" + model.shown_name;
    store->push_back(std::move(model));
  }
  scheduler.handle(Observed{BackendId{0}, Observed::Kind::kCatalogue, store, nullptr, {}, {}}, now,
                   effects);
  const Insight::State& state = Insight::of(scheduler);
  std::size_t most_models = 0;
  std::size_t most_tenants = 0;
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    now += 20ms;
    RequestArrived request{RequestId{i + 1}, testing::ask_for((*store)[i % 3000].shown_name)};
    request.ask.tenant = TenantId{i + 1};
    effects.clear();
    scheduler.handle(request, now, effects);
    ASSERT_TRUE(std::holds_alternative<Grant>(effects.front()));
    const LeaseId lease = std::get<Grant>(effects.front()).lease;
    scheduler.handle(LeaseSettled{lease, AttemptResult::kServed, {}, {}}, now, effects);
    most_models = std::max<std::size_t>(most_models, state.brain->forecasts.models());
    most_tenants = std::max(most_tenants, state.brain->shares.remembered());
    ASSERT_LE(state.brain->shares.remembered(),
              FairShares::kMaxResting + state.brain->shares.active());
  }
  EXPECT_EQ(most_models, ModelTable::kMaxModels);
  EXPECT_GT(most_tenants, FairShares::kMaxResting);
}

// --- fairness ---

// Tenants who always have something in line, with requests of different sizes each, at instances
// that have the one model.
class Backlog {
 public:
  explicit Backlog(std::uint64_t seed) : rng_(seed), scheduler_(settings(seed), specs(rng_)) {
    const std::size_t tenants = 2 + rng_.below(5);
    for (std::size_t i = 0; i < tenants; ++i) {
      tenants_.push_back({50 + rng_.below(6000), 5 + rng_.below(600), 0});
      most_cost_ = std::max(most_cost_, cost(tenants_.back()));
    }
    for (std::uint32_t i = 0; i < instances_; ++i) {
      feed(Observed{
          BackendId{i}, Observed::Kind::kCatalogue, testing::catalogue({"m"}), nullptr, {}, {}});
      feed(Observed{
          BackendId{i}, Observed::Kind::kResidency, nullptr, testing::residency({"m"}), {}, {}});
    }
    for (std::size_t i = 0; i < tenants; ++i) {
      for (int k = 0; k < 40; ++k) ask(i);  // more than there are slots
    }
  }
  // The largest gap between two of them so far, as a part of what is allowed.
  double run(int answers) {
    double worst = 0;
    for (int i = 0; i < answers; ++i) {
      const Ends next = running_.top();
      running_.pop();
      now_ = next.at;
      Tenant& tenant = tenants_[next.tenant];
      tenant.served += cost(tenant);
      ask(next.tenant);
      Usage usage;
      usage.prompt_tokens = tenant.prompt;
      usage.output_tokens = tenant.output;
      feed(LeaseSettled{next.lease, AttemptResult::kServed, {}, usage});
      const auto [least, most] = std::ranges::minmax_element(tenants_, {}, &Tenant::served);
      worst = std::max(worst, (most->served - least->served) / (2 * slots_ * most_cost_));
    }
    return worst;
  }

 private:
  struct Tenant {
    std::uint64_t prompt = 0;
    std::uint64_t output = 0;
    double served = 0;
  };
  struct Ends {
    Instant at;
    LeaseId lease;
    std::size_t tenant = 0;
    bool operator>(const Ends& other) const {
      return std::tie(at, lease) > std::tie(other.at, other.lease);
    }
  };
  static double cost(const Tenant& tenant) {
    return static_cast<double>(tenant.prompt) +
           FairShares::kOutputWeight * static_cast<double>(tenant.output);
  }
  static Settings settings(std::uint64_t seed) {
    Settings settings;
    settings.policy = PolicyName::kExpectedCompletion;
    settings.seed = seed;
    settings.queue_wait = 24h;
    return settings;
  }
  std::vector<BackendSpec> specs(Rng& rng) {
    instances_ = static_cast<std::uint32_t>(1 + rng.below(3));
    std::vector<BackendSpec> all = testing::specs(instances_);
    for (BackendSpec& spec : all) {
      spec.supervised = true;  // slots are what they are
      spec.slots = static_cast<std::uint32_t>(1 + rng.below(4));
      slots_ += spec.slots;
    }
    return all;
  }
  void ask(std::size_t tenant) {
    RequestArrived request{RequestId{++last_request_}, testing::ask_for("m")};
    request.ask.tenant = TenantId{tenant + 1};
    request.ask.body_bytes = tenants_[tenant].prompt * 4;
    of_[request.request] = tenant;
    feed(std::move(request));
  }
  void feed(const Event& event) {
    Effects effects;
    scheduler_.handle(event, now_, effects);
    for (const Effect& effect : effects) {
      const auto* grant = std::get_if<Grant>(&effect);
      if (grant == nullptr) continue;
      const std::size_t tenant = of_.at(grant->request);
      const Tenant& who = tenants_[tenant];
      const auto ms = static_cast<std::int64_t>(20 + who.prompt / 10 + who.output * 20);
      running_.push({now_ + std::chrono::milliseconds(ms), grant->lease, tenant});
    }
  }

  Rng rng_;
  std::uint32_t instances_ = 0;
  double slots_ = 0;
  Scheduler scheduler_;
  std::vector<Tenant> tenants_;
  double most_cost_ = 0;
  Instant now_ = Instant(1000s);
  std::uint64_t last_request_ = 0;
  std::map<RequestId, std::size_t> of_;
  std::priority_queue<Ends, std::vector<Ends>, std::greater<>> running_;
};

TEST(Invariant, I6BackloggedTenantsGetEqualPartsWhateverTheirRequestsAreLike) {
  double worst = 0;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const double gap = Backlog(seed).run(1500);
    EXPECT_LE(gap, 1) << "seed " << seed;
    worst = std::max(worst, gap);
  }
  EXPECT_GT(worst, 0.1) << "the bound says nothing";
}

// --- the same events once more ---

TEST(Invariant, I9TheSameEventsCauseTheSameDecisions) {
  Findings findings;
  for (std::uint64_t seed = 1001; seed <= 1030; ++seed) {
    Life life(seed, seed % 2 == 0 ? Manner::kCalm : Manner::kWild, findings);
    life.live(2'000);
    Scheduler again(life.machine().settings, life.machine().specs);
    for (std::size_t i = 0; i < life.log().size(); ++i) {
      const Logged& logged = life.log()[i];
      Effects effects;
      again.handle(logged.event, logged.at, effects);
      ASSERT_EQ(Digest::of(effects), logged.decided) << "seed " << seed << ", event " << i;
    }
  }
}

// --- one instance more ---

struct Probe {
  std::optional<Grant> granted;
  double cost_s = 0;
};

Probe ask_now(Scheduler& scheduler, const std::string& model, Instant now) {
  Effects effects;
  const RequestId request{UINT64_MAX};
  scheduler.handle(RequestArrived{request, testing::ask_for(model)}, now, effects);
  Probe probe;
  for (const Effect& effect : effects) {
    const auto* grant = std::get_if<Grant>(&effect);
    if (grant == nullptr || grant->request != request) continue;
    probe.granted = *grant;
    probe.cost_s = grant->why.candidates[grant->backend.value].cost_s;
  }
  return probe;
}

// The twin of an instance is there from the beginning, and is heard of at the end.
std::vector<BackendSpec> with_twin(const Machine& machine, std::size_t of) {
  std::vector<BackendSpec> specs = machine.specs;
  BackendSpec twin = specs[of];
  twin.id = BackendId{static_cast<std::uint32_t>(specs.size())};
  twin.name = "twin";
  twin.placement = Placement::kUnknown;
  twin.gpus.clear();
  specs.push_back(std::move(twin));
  return specs;
}

TEST(Invariant, I10OneInstanceMoreMakesNothingDearer) {
  Findings findings;
  int compared = 0;
  int better = 0;
  for (std::uint64_t seed = 2001; seed <= 2300; ++seed) {
    Rng rng(seed);
    Life life(seed, seed % 2 == 0 ? Manner::kCalm : Manner::kWild, findings);
    life.live(300 + rng.below(500));
    const Machine& machine = life.machine();
    const std::size_t of = rng.below(machine.specs.size());
    Scheduler before(machine.settings, machine.specs);
    Scheduler after(machine.settings, with_twin(machine, of));
    Effects effects;
    for (const Logged& logged : life.log()) {
      before.handle(logged.event, logged.at, effects);
      after.handle(logged.event, logged.at, effects);
    }
    const Instant now = life.log().back().at;
    const BackendId twin{static_cast<std::uint32_t>(machine.specs.size())};
    const BackendView original = before.view().backends[of];
    if (!original.residency || original.health != HealthState::kUp) continue;
    // Those who wait take the twin's slots first, and models move: that is another question.
    const Insight::State& state = Insight::of(before);
    if (state.brain->queue.size() + state.room.size() > 0) continue;
    after.handle(Observed{twin, Observed::Kind::kCatalogue, original.catalogue, nullptr, {}, {}},
                 now, effects);
    after.handle(Observed{twin, Observed::Kind::kResidency, nullptr, original.residency, {}, {}},
                 now, effects);
    const std::string model = machine.models[rng.below(machine.models.size())].shown_name;
    const Probe one = ask_now(before, model, now);
    const Probe more = ask_now(after, model, now);
    // Last resorts are not compared by their cost.
    if (!one.granted || one.granted->why.last_resort) continue;
    ++compared;
    ASSERT_TRUE(more.granted) << "seed " << seed << ": it waits now";
    // Among equals, 1 % apart, the one that was idle longest is chosen.
    EXPECT_LE(more.cost_s, one.cost_s * 1.03 + 1e-3) << "seed " << seed;
    if (more.cost_s < one.cost_s * 0.97) ++better;
  }
  EXPECT_GT(compared, 30);
  EXPECT_GT(better, 5);
}

}  // namespace
}  // namespace drover::core
