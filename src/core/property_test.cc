// Properties that hold whatever happens, on seeded random histories. A failure prints its seed.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <queue>
#include <set>

#include "base/rng.h"
#include "core/testing.h"

namespace drover::core {
namespace {

using testing::specs;
using namespace std::chrono_literals;

constexpr std::string_view kModels[] = {"a", "b", "c", "d"};

// A fleet to which random things happen, and a second set of books to check it against.
class Chaos {
 public:
  Chaos(std::uint64_t seed, PolicyName policy)
      : rng_(seed),
        instances_(1 + static_cast<std::uint32_t>(rng_.below(5))),
        most_(1 + static_cast<std::uint32_t>(rng_.below(4))),
        policy_(policy),
        scheduler_(settings(seed, policy), specs(instances_, most_)) {}

  void step() {
    now_ += Duration(static_cast<std::int64_t>(rng_.below(400'000'000)));
    while (wake_at_ <= now_) {
      wake_at_ = kNever;
      feed(Tick{});
    }
    switch (rng_.below(8)) {
      case 0:
      case 1:
      case 2:
        return arrive();
      case 3:
        return leave();
      case 4:
        return first_byte();
      case 5:
        return settle();
      case 6:
        return observe();
      default:
        return rarely();
    }
  }

  // Everybody leaves: nothing may be owed.
  void finish() {
    while (!open_.empty()) settle();
    feed(RefreshDone{});
    feed(RefreshDone{});
    // Those in line are given slots one after the other, or have waited long enough.
    for (int i = 0; i < 10; ++i) {
      while (!loads_.empty()) load_done();
      while (!open_.empty()) settle();
      now_ += 10s;
      feed(Tick{});
    }
    while (!open_.empty()) settle();
    EXPECT_TRUE(waiting_.empty());
    for (const BackendView& each : scheduler_.view().backends) {
      EXPECT_EQ(each.in_flight, 0U);
      EXPECT_EQ(each.awaiting_first, 0U);
    }
  }

  const std::vector<std::string>& history() const { return history_; }

 private:
  struct Open {
    RequestArrived request;
    BackendId backend;
    bool content = false;
  };

  static Settings settings(std::uint64_t seed, PolicyName policy) {
    Settings settings;
    settings.policy = policy;
    settings.seed = seed;
    settings.max_waiting = 6;
    settings.max_queued = 6;
    settings.queue_wait = 20s;
    return settings;
  }

  void arrive() {
    RequestArrived arrived{RequestId{++last_request_},
                           testing::ask_for(kModels[rng_.below(std::size(kModels))])};
    if (rng_.below(20) == 0) arrived.ask = testing::ask_for("no-such-model");
    ask(std::move(arrived));
  }
  void ask(RequestArrived arrived) {
    waiting_.emplace(arrived.request, arrived);
    feed(std::move(arrived));
  }
  void leave() {
    if (waiting_.empty()) return;
    const RequestId request = waiting_.begin()->first;
    waiting_.erase(request);
    feed(RequestGone{request});
  }
  void first_byte() {
    if (open_.empty()) return;
    auto& [lease, open] = random_open();
    open.content = true;
    feed(LeaseFirstByte{lease});
  }
  void settle() {
    if (open_.empty()) return;
    const auto& [lease, open] = random_open();
    const LeaseId id = lease;
    Open ended = open;
    open_.erase(id);
    const auto result = static_cast<AttemptResult>(rng_.below(10));
    feed(LeaseSettled{id, result, {}, {}});
    const bool failed = result == AttemptResult::kFailed || result == AttemptResult::kDied;
    if (!failed || ended.content) return;
    ended.request.cause =
        result == AttemptResult::kDied ? RetryCause::kInstanceDied : RetryCause::kInstanceFailed;
    ++ended.request.attempt;
    ended.request.tried.push_back(ended.backend);
    ask(std::move(ended.request));
  }
  void observe() {
    Observed seen;
    seen.backend = random_backend();
    seen.kind = static_cast<Observed::Kind>(rng_.below(7));
    auto catalogue = std::make_shared<Catalogue>();
    for (const std::string_view model : kModels) {
      if (rng_.below(3) > 0) catalogue->push_back({.name = ModelName::canonical(model)});
    }
    seen.catalogue = std::move(catalogue);
    seen.residency = testing::residency({kModels[rng_.below(std::size(kModels))]});
    feed(std::move(seen));
  }
  void rarely() {
    if (rng_.below(4) == 0) return feed(DrainChanged{random_backend(), rng_.below(2) == 0});
    if (!loads_.empty()) load_done();
    if (refreshing_) return feed(RefreshDone{});
  }
  void load_done() {
    const Load load = loads_.front();
    loads_.erase(loads_.begin());
    const bool loaded = rng_.below(3) > 0;
    feed(LoadDone{load.backend, load.model, loaded, loaded ? "" : "status 500"});
  }

  void feed(Event event) {
    if (std::holds_alternative<RefreshDone>(event)) refreshing_ = false;
    Effects effects;
    scheduler_.handle(event, now_, effects);
    for (const Effect& effect : effects) std::visit([&](auto& each) { note(each); }, effect);
    check_books();
  }

  void note(const Grant& grant) {
    history_.push_back("grant " + std::to_string(grant.request.value) + " to " +
                       std::to_string(grant.backend.value));
    const auto found = waiting_.find(grant.request);
    ASSERT_NE(found, waiting_.end()) << "an answer that nobody waits for";
    const RequestArrived asked = found->second;
    waiting_.erase(found);
    ASSERT_TRUE(open_.emplace(grant.lease, Open{asked, grant.backend}).second);
    check_pick(grant, asked);
  }
  void note(const Refuse& refuse) {
    history_.push_back("refuse " + std::to_string(refuse.request.value) + ": " +
                       refuse.error.message);
    ASSERT_EQ(waiting_.erase(refuse.request), 1U) << "an answer that nobody waits for";
    EXPECT_FALSE(refuse.error.message.empty());
    const bool later = refuse.error.kind == ErrorKind::kUnavailable;
    EXPECT_EQ(refuse.retry_after.has_value(), later);
    if (later) {
      EXPECT_GE(*refuse.retry_after, 1s);
    }
  }
  void note(const RevokeLease& revoke) {
    const auto found = open_.find(revoke.lease);
    ASSERT_NE(found, open_.end());
    EXPECT_FALSE(found->second.content);
    EXPECT_TRUE(revoked_.insert(revoke.lease).second);
  }
  void note(const RefreshCatalogues&) {
    EXPECT_FALSE(refreshing_) << "two refreshes at once";
    refreshing_ = true;
  }
  void note(const HealthChanged& changed) {
    history_.push_back(std::string(to_string(changed.from)) + " to " +
                       std::string(to_string(changed.to)));
    EXPECT_NE(changed.from, changed.to);
  }
  // Nothing here is supervised or has a GPU, and no time is long enough for a suspicion.
  void note(const RestartInstance&) { ADD_FAILURE() << "a foreign instance cannot be restarted"; }
  void note(const Unload&) { ADD_FAILURE() << "no memory is known"; }
  void note(const Load& load) {
    EXPECT_EQ(policy_, PolicyName::kExpectedCompletion);
    const auto same = [&](const Load& each) { return each.backend == load.backend; };
    // One that was never answered is given up after a minute.
    EXPECT_LE(std::ranges::count_if(loads_, same), 3) << "more than one load at once";
    loads_.push_back(load);
    history_.push_back("load " + load.model.text() + " at " + std::to_string(load.backend.value));
  }
  void note(const Canary& canary) { EXPECT_FALSE(canary.model.empty()); }
  void note(const Incident&) {}
  void note(const WakeAt& wake) {
    EXPECT_GT(wake.when, now_);
    wake_at_ = wake.when;
  }

  void check_pick(const Grant& grant, const RequestArrived& asked) {
    const BackendView chosen = scheduler_.view().backends[grant.backend.value];
    EXPECT_LE(chosen.in_flight, most_);
    EXPECT_EQ(std::ranges::count(asked.tried, grant.backend), 0);
    EXPECT_TRUE(std::ranges::any_of(*chosen.catalogue, [&](const InstalledModel& model) {
      return model.name == asked.ask.model;
    }));
    const Candidate& picked = grant.why.candidates[grant.backend.value];
    if (grant.why.last_resort) {
      EXPECT_EQ(asked.attempt, 0U);
      for (const Candidate& each : grant.why.candidates) EXPECT_NE(each.filtered, Filtered::kNot);
      return;
    }
    EXPECT_EQ(picked.filtered, Filtered::kNot);
    EXPECT_TRUE(chosen.health == HealthState::kUp || chosen.health == HealthState::kProbation);
    if (policy_ != PolicyName::kLeastLoaded) return;
    for (const Candidate& each : grant.why.candidates) {
      if (each.filtered != Filtered::kNot) continue;
      EXPECT_LE(picked.in_flight, each.in_flight);
    }
  }

  void check_books() {
    std::vector<std::uint32_t> in_flight(instances_, 0);
    std::vector<std::uint32_t> awaiting(instances_, 0);
    for (const auto& [lease, open] : open_) {
      ++in_flight[open.backend.value];
      if (!open.content) ++awaiting[open.backend.value];
    }
    const FleetView view = scheduler_.view();
    for (std::uint32_t i = 0; i < instances_; ++i) {
      ASSERT_EQ(view.backends[i].in_flight, in_flight[i]);
      ASSERT_EQ(view.backends[i].awaiting_first, awaiting[i]);
    }
  }

  std::map<LeaseId, Open>::reference random_open() {
    return *std::next(open_.begin(), static_cast<std::ptrdiff_t>(rng_.below(open_.size())));
  }
  BackendId random_backend() { return {static_cast<std::uint32_t>(rng_.below(instances_))}; }

  Rng rng_;
  std::uint32_t instances_;
  std::uint32_t most_;
  PolicyName policy_;
  Scheduler scheduler_;
  Instant now_ = Instant(1000s);
  Instant wake_at_ = kNever;
  std::uint64_t last_request_ = 0;
  std::map<RequestId, RequestArrived> waiting_;
  std::map<LeaseId, Open> open_;
  std::set<LeaseId> revoked_;
  std::vector<Load> loads_;
  bool refreshing_ = false;
  std::vector<std::string> history_;
};

std::vector<std::string> run(std::uint64_t seed, PolicyName policy) {
  Chaos chaos(seed, policy);
  for (int i = 0; i < 400 && !::testing::Test::HasFailure(); ++i) chaos.step();
  chaos.finish();
  return chaos.history();
}

TEST(Property, BooksBalanceAndPicksAreEligibleWhateverHappens) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    run(seed, PolicyName::kLeastLoaded);
    run(seed, PolicyName::kRoundRobin);
    run(seed, PolicyName::kExpectedCompletion);
    if (HasFailure()) return;
  }
}

TEST(Property, SameSeedSameEffects) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    EXPECT_EQ(run(seed, PolicyName::kLeastLoaded), run(seed, PolicyName::kLeastLoaded));
    EXPECT_EQ(run(seed, PolicyName::kExpectedCompletion),
              run(seed, PolicyName::kExpectedCompletion));
  }
}

// Clients keep `clients` requests going; every attempt fails after a random time and is retried as
// long as the scheduler lets it. Returns attempts per client request.
double amplification(Settings settings, int clients, Duration slowest, std::uint64_t seed,
                     AttemptResult how = AttemptResult::kFailed) {
  struct Ends {
    Instant at;
    LeaseId lease;
    RequestArrived request;
    bool operator>(const Ends& other) const {
      return std::tie(at, lease) > std::tie(other.at, other.lease);
    }
  };
  Scheduler scheduler(settings, specs(4));
  Rng rng(seed);
  Instant now = Instant(1000s);
  Effects effects;
  for (std::uint32_t i = 0; i < 4; ++i) {
    scheduler.handle(
        Observed{
            BackendId{i}, Observed::Kind::kCatalogue, testing::catalogue({"m"}), nullptr, {}, {}},
        now, effects);
  }
  std::priority_queue<Ends, std::vector<Ends>, std::greater<>> running;
  double first_tries = 0;
  double attempts = 0;
  const auto ask = [&](RequestArrived request) {
    effects.clear();
    if (request.attempt == 0) ++first_tries;
    scheduler.handle(request, now, effects);
    for (const Effect& effect : effects) {
      const auto* grant = std::get_if<Grant>(&effect);
      if (grant == nullptr) continue;
      ++attempts;
      request.tried.push_back(grant->backend);
      const auto takes = static_cast<std::int64_t>(
          1'000'000 + rng.below(static_cast<std::uint64_t>(slowest.count())));
      running.push({now + Duration(takes), grant->lease, request});
    }
  };
  std::uint64_t last_request = 0;
  for (int step = 0; step < 20'000; ++step) {
    while (running.size() < static_cast<std::size_t>(clients)) {
      const std::size_t before = running.size();
      ask({RequestId{++last_request}, testing::ask_for("m")});
      if (running.size() == before) break;  // refused: try again after the next event
    }
    if (running.empty()) {
      now += 100ms;
      continue;
    }
    Ends next = running.top();
    running.pop();
    now = std::max(now, next.at);
    scheduler.handle(LeaseSettled{next.lease, how, {}, {}}, now, effects);
    const bool died = how == AttemptResult::kDied;
    next.request.cause = died ? RetryCause::kInstanceDied : RetryCause::kInstanceFailed;
    ++next.request.attempt;
    ask(next.request);
  }
  return attempts / first_tries;
}

TEST(Property, RetriesNeverMultiplyTheLoadByMoreThanTheBudget) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Settings settings;
    settings.failures_to_down = 1'000'000;  // the budget alone, without health's help
    for (const Duration slowest : {Duration(10ms), Duration(2s)}) {
      const double factor = amplification(settings, 200, slowest, seed);
      EXPECT_LE(factor, 1.2) << "seed " << seed;
      EXPECT_GE(factor, 1.15) << "the budget is not used, seed " << seed;
    }
  }
}

TEST(Property, AFleetThatFailsAltogetherSeesLessThanTheClientsLoad) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    EXPECT_LE(amplification({}, 200, 2s, seed), 1.2) << "seed " << seed;
    EXPECT_LE(amplification({}, 200, 2s, seed, AttemptResult::kDied), 1.2) << "seed " << seed;
  }
}

// Where connections die without end and health would not notice: one exempt retry each, and the
// budget on top.
TEST(Property, DyingConnectionsNeverCostMoreThanOneRetryEachAndTheBudget) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Settings settings;
    settings.failures_to_down = 1'000'000;
    const double factor = amplification(settings, 200, 2s, seed, AttemptResult::kDied);
    EXPECT_LE(factor, 2 * 1.2) << "seed " << seed;
    EXPECT_GE(factor, 2.0) << "seed " << seed;
  }
}

}  // namespace
}  // namespace drover::core
