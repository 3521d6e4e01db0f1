#pragma once
// For tests of core: fleets that live at random, half of them calmly (everybody is honest, nothing
// breaks), half of them wildly, and a second set of books. After each event these are compared with
// the scheduler's; invariants_test.cc has the list of what is promised.

#include <array>
#include <functional>
#include <map>
#include <queue>
#include <set>

#include "core/random_machine.h"
#include "core/scheduler_state.h"

namespace drover::core::testing {

// What no view shows.
struct Insight {
  using State = Scheduler::State;
  static State& of(Scheduler& scheduler) { return *scheduler.state_; }
};

// --- what was found ---

enum class Promise : std::uint8_t { kI1, kI2, kI3, kI4, kI5, kI7, kI8, kCount };

// Of all lives together. The first broken promise of each kind is kept in words; the rest are
// counts that show that what is promised was put to the test.
struct Findings {
  std::array<std::string, static_cast<std::size_t>(Promise::kCount)> broken;
  std::uint64_t events = 0, granted = 0, waited = 0, held_back = 0, served_late = 0;
  std::uint64_t loads = 0, swaps = 0, spared = 0, full_slots = 0, full_queues = 0;
  std::uint64_t revoked = 0, retried = 0, refused = 0, crashes = 0;

  const std::string& of(Promise promise) const { return broken[static_cast<std::size_t>(promise)]; }
};

struct Logged {
  Instant at;
  Event event;
  std::uint64_t decided = 0;  // Digest of the effects
};

class Life {
 public:
  Life(std::uint64_t seed, Manner manner, Findings& findings)
      : rng_(seed ^ 0x11fe),
        seed_(seed),
        manner_(manner),
        machine_(random_machine(seed, manner)),
        scheduler_(machine_.settings, machine_.specs),
        findings_(findings),
        ollamas_(machine_.specs.size()),
        plans_(machine_.specs.size()) {
    begin();
  }

  void live(std::size_t events) {
    while (log_.size() < events) next();
  }
  // Nobody comes any more, and whoever is there is served.
  void end() {
    ended_ = true;
    while (now_ < last_arrival_ + 15min && (!due_.empty() || wake_at_ != kNever)) next();
    if (!waiting_.empty() || !open_.empty()) broken(Promise::kI5, "somebody is still there");
    const Insight::State& state = Insight::of(scheduler_);
    for (std::uint32_t i = 0; i < ollamas_.size(); ++i) {
      const Ledger::Site& site = state.brain->forecasts.ledger().site(BackendId{i});
      const bool owes = !site.open.empty() || !site.active.empty() ||
                        state.instances[i].in_flight + state.instances[i].awaiting_first > 0;
      if (owes) broken(Promise::kI5, "counts of an instance do not return to zero");
    }
    if (state.brain->queue.bytes() > 0) broken(Promise::kI5, "bytes of nobody in the queue");
    if (state.brain->shares.active() > 0) broken(Promise::kI5, "tenants of nothing are active");
  }
  const std::vector<Logged>& log() const { return log_; }
  const Machine& machine() const { return machine_; }

 private:
  struct Ollama {
    std::map<ModelName, std::uint64_t> loaded;  // bytes
    std::map<ModelName, Instant> unloaded;      // and its memory is back then
    std::optional<ModelName> loading;
    Instant away_until{};
    Instant told{};  // of the latest look
  };
  struct Waiting {
    RequestArrived request;
    Instant since{};  // its first arrival
  };
  struct Open {
    RequestArrived request;
    BackendId backend;
    Instant since{};
    Instant granted{};
    std::uint64_t tokens = 0;  // of its whole answer
    bool content = false;
    bool revoked = false;
  };
  struct Due {
    Instant when;
    std::uint64_t number;
    std::function<void()> what;
    bool operator>(const Due& other) const {
      return std::tie(when, number) > std::tie(other.when, other.number);
    }
  };

  void broken(Promise promise, const std::string& what) {
    std::string& first = findings_.broken[static_cast<std::size_t>(promise)];
    if (!first.empty()) return;
    first =
        "seed " + std::to_string(seed_) + ", event " + std::to_string(log_.size()) + ": " + what;
  }

  // --- time ---
  Duration random_time(double least_s, double most_s) {
    return Duration(static_cast<std::int64_t>((least_s + rng_.unit() * (most_s - least_s)) * 1e9));
  }
  void after(Duration time, std::function<void()> what) {
    due_.push({now_ + time, ++planned_, std::move(what)});
  }
  void next() {
    if (due_.empty() || wake_at_ <= due_.top().when) {
      now_ = wake_at_;
      wake_at_ = kNever;
      return feed(Tick{});
    }
    const Due due = due_.top();
    due_.pop();
    now_ = due.when;
    due.what();
  }

  // --- what happens of itself ---
  void begin() {
    auto report = std::make_shared<GpuReport>();
    for (std::size_t i = 0; i < machine_.specs.size(); ++i) {
      const BackendSpec& spec = machine_.specs[i];
      if (spec.placement != Placement::kPinned) continue;
      Gpu gpu;
      gpu.uuid = spec.gpus.front();
      gpu.memory_total_bytes = machine_.memory[i];
      report->gpus.push_back(gpu);
    }
    feed(GpusObserved{report});
    for (std::uint32_t i = 0; i < ollamas_.size(); ++i) {
      list(BackendId{i});
      look(BackendId{i});
    }
    after(1s, [this] { arrive(); });
    if (manner_ == Manner::kWild) trouble();
  }
  void list(BackendId backend) {
    Observed seen;
    seen.backend = backend;
    seen.kind = Observed::Kind::kCatalogue;
    seen.catalogue = machine_.stores[backend.value];
    if (ollamas_[backend.value].away_until <= now_) feed(std::move(seen));
  }
  // /api/ps as it was a moment ago, then again in two seconds.
  void look(BackendId backend) {
    look_once(backend);
    if (!ended_ || now_ < last_arrival_ + 15min) after(2s, [this, backend] { look(backend); });
  }
  void look_once(BackendId backend) {
    Ollama& ollama = ollamas_[backend.value];
    Observed seen;
    seen.backend = backend;
    seen.kind = Observed::Kind::kResidency;
    auto all = std::make_shared<Residency>();
    for (const auto& [name, bytes] : ollama.loaded) {
      LoadedModel model;
      model.name = name;
      model.digest = "sha256:" + name.text().substr(0, 1);
      model.bytes = model.vram_bytes = bytes;
      all->push_back(std::move(model));
    }
    seen.residency = std::move(all);
    if (ollama.away_until > now_) {
      seen.kind = Observed::Kind::kRefused;
      seen.detail = "connection refused";
    } else if (manner_ == Manner::kWild && rng_.below(20) == 0) {
      seen.kind = Observed::Kind::kResidencyMissed;
    }
    const Duration lag = std::max(random_time(0, 0.3), ollama.told - now_);
    ollama.told = now_ + lag;
    after(lag, [this, seen = std::move(seen)] { feed(seen); });
  }
  void arrive() {
    if (ended_) return;
    last_arrival_ = now_;
    const std::size_t model =
        std::min(rng_.below(machine_.models.size()), rng_.below(machine_.models.size()));
    RequestArrived request{RequestId{++last_request_}, ask_for(machine_.models[model].shown_name)};
    if (manner_ == Manner::kWild && rng_.below(50) == 0) request.ask = ask_for("nowhere");
    request.ask.tenant = TenantId{1 + std::min(rng_.below(machine_.tenants), rng_.below(4))};
    request.ask.body_bytes = 200 + rng_.below(8000);
    if (rng_.below(3) == 0) request.ask.priority = static_cast<Priority>(rng_.below(kPriorities));
    const bool hurried = manner_ == Manner::kWild && rng_.below(30) == 0;
    if (hurried) request.ask.deadline = now_ + random_time(0.01, 60);
    const RequestId id = request.request;
    ask(std::move(request), now_);
    if (rng_.below(20) == 0) after(random_time(0, 20), [this, id] { leave(id); });
    // Quiet and busy times take turns.
    const double busy = (now_.time_since_epoch() / 60s) % 3 == 0 ? 0.2 : 1.4;
    after(random_time(0, 2 * busy * machine_.gap_s), [this] { arrive(); });
  }
  void ask(RequestArrived request, Instant since) {
    waiting_.emplace(request.request, Waiting{request, since});
    ++arrived_;
    if (request.attempt > 0) ++findings_.retried;
    feed(std::move(request));
  }
  void leave(RequestId id) {
    if (waiting_.erase(id) == 0) return;
    ++gone_;
    feed(RequestGone{id});
  }

  // --- trouble ---
  void trouble() {
    if (ended_) return;
    const BackendId backend{static_cast<std::uint32_t>(rng_.below(ollamas_.size()))};
    switch (rng_.below(4)) {
      case 0:
        crash(backend);
        break;
      case 1:
        feed(DrainChanged{backend, true});
        after(random_time(1, 40), [this, backend] { feed(DrainChanged{backend, false}); });
        break;
      case 2:
        list(backend);
        break;
      default:
        feed(Observed{backend, Observed::Kind::kMissed, nullptr, nullptr, {}, "timed out"});
    }
    after(random_time(2, 30), [this] { trouble(); });
  }
  void crash(BackendId backend) {
    ++findings_.crashes;
    Ollama& ollama = ollamas_[backend.value];
    ollama.loaded.clear();
    ollama.unloaded.clear();
    ollama.away_until = now_ + random_time(0.5, 20);
    std::vector<LeaseId> lost;
    for (const auto& [lease, open] : open_) {
      if (open.backend == backend) lost.push_back(lease);
    }
    for (const LeaseId lease : lost) settle(lease, AttemptResult::kDied);
    if (ollama.loading) load_ends(backend, *ollama.loading, false);
    feed(Observed{backend, Observed::Kind::kRefused, nullptr, nullptr, {}, "connection refused"});
  }

  // --- requests at an instance ---
  void serve(LeaseId lease) {
    const auto first = random_time(0.05, 1.5);
    const AttemptResult result = random_result();
    const Duration whole =
        first + Duration(20ms) * static_cast<std::int64_t>(open_.at(lease).tokens);
    after(first, [this, lease] { first_byte(lease); });
    for (Duration each = first + 1s; each < whole; each += 3s) {
      const auto tokens = static_cast<std::uint64_t>((each - first) / 20ms);
      after(each, [this, lease, tokens] {
        if (open_.contains(lease)) feed(LeaseProgress{lease, tokens});
      });
    }
    after(result == AttemptResult::kServed ? whole : first / 2,
          [this, lease, result] { settle(lease, result); });
  }
  AttemptResult random_result() {
    if (manner_ == Manner::kCalm || rng_.below(8) > 0) return AttemptResult::kServed;
    return static_cast<AttemptResult>(rng_.below(10));
  }
  void first_byte(LeaseId lease) {
    const auto found = open_.find(lease);
    if (found == open_.end() || found->second.revoked) return;
    found->second.content = true;
    feed(LeaseFirstByte{lease});
  }
  void settle(LeaseId lease, AttemptResult result) {
    const auto found = open_.find(lease);
    if (found == open_.end()) return;
    const Open open = found->second;
    open_.erase(found);
    ++done_;
    Usage usage;
    if (result == AttemptResult::kServed) usage = usage_of(open);
    feed(LeaseSettled{lease, result, "", usage});
    const bool failed = result == AttemptResult::kFailed || result == AttemptResult::kDied ||
                        result == AttemptResult::kRevoked || result == AttemptResult::kBusy ||
                        result == AttemptResult::kNoModel;
    if (!failed || open.content) return;
    RequestArrived again = open.request;
    again.cause = result == AttemptResult::kBusy      ? RetryCause::kBusy
                  : result == AttemptResult::kNoModel ? RetryCause::kNoModel
                  : result == AttemptResult::kFailed  ? RetryCause::kInstanceFailed
                                                      : RetryCause::kInstanceDied;
    ++again.attempt;
    again.tried.push_back(open.backend);
    ask(std::move(again), open.since);
  }
  Usage usage_of(const Open& open) {
    Usage usage;
    usage.prompt_tokens = 1 + open.request.ask.body_bytes / 4;
    usage.output_tokens = open.tokens;
    if (rng_.below(3) == 0) return usage;  // no times, as /v1 gives none
    usage.total = now_ - open.granted;
    usage.prompt_eval = usage.total / 10;
    usage.eval = usage.total - usage.prompt_eval;
    // Somebody else's request was in the way, at times.
    if (rng_.below(10) == 0) usage.eval -= std::min(usage.eval / 2, Duration(2s));
    return usage;
  }

  // --- orders ---
  void load_ends(BackendId backend, const ModelName& model, bool loaded) {
    Ollama& ollama = ollamas_[backend.value];
    if (!ollama.loading || *ollama.loading != model) return;
    ollama.loading.reset();
    if (loaded) ollama.loaded[model] = bytes_of(model);
    feed(LoadDone{backend, model, loaded, loaded ? "" : "status 500"});
  }
  std::uint64_t bytes_of(const ModelName& model) const {
    const auto found = std::ranges::find(machine_.models, model, &InstalledModel::name);
    const std::uint64_t file = found->bytes;
    // As drover guesses it, or not.
    if (manner_ == Manner::kWild) return file + (file * (model.text()[0] % 3)) / 10;
    return file + static_cast<std::uint64_t>(0.1 * static_cast<double>(file)) + (1ULL << 30);
  }
  std::uint64_t in_use(const Ollama& ollama) const {
    std::uint64_t sum = 0;
    for (const auto& [model, bytes] : ollama.loaded) sum += bytes;
    for (const auto& [model, until] : ollama.unloaded) {
      if (until > now_ && !ollama.loaded.contains(model)) sum += bytes_of(model);
    }
    if (ollama.loading) sum += bytes_of(*ollama.loading);
    return sum;
  }
  void check_memory(BackendId backend) {
    const auto usable = kUsablePart * static_cast<double>(machine_.memory[backend.value]);
    if (manner_ == Manner::kWild || in_use(ollamas_[backend.value]) <= usable) return;
    std::string held;
    const Ollama& ollama = ollamas_[backend.value];
    for (const auto& [model, bytes] : ollama.loaded) held += " " + model.text();
    for (const auto& [model, until] : ollama.unloaded) {
      if (until > now_) held += " leaving " + model.text();
    }
    if (ollama.loading) held += " loading " + ollama.loading->text();
    broken(Promise::kI3, "Ollama has to choose who leaves, at instance " +
                             std::to_string(backend.value) + " with" + held);
  }

  // --- the scheduler, and what it answers ---
  void feed(Event event) {
    ++findings_.events;
    Effects effects;
    scheduler_.handle(event, now_, effects);
    log_.push_back({now_, event, Digest::of(effects)});
    if (std::holds_alternative<RefreshDone>(event)) refreshing_ = false;
    for (const Effect& effect : effects) std::visit([&](const auto& each) { note(each); }, effect);
    check();
  }

  void note(const Grant& grant) {
    ++findings_.granted;
    const auto found = waiting_.find(grant.request);
    if (found == waiting_.end()) return broken(Promise::kI7, "granted what nobody waits for");
    if (grant.why.waited_as > 0) ++findings_.waited;
    Open open{found->second.request, grant.backend, found->second.since, now_};
    waiting_.erase(found);
    open.tokens = 5 + rng_.below(300);
    const ModelName& model = open.request.ask.model;
    if (!open_.emplace(grant.lease, open).second) broken(Promise::kI7, "one lease for two");
    check_slots(grant, model);
    Ollama& ollama = ollamas_[grant.backend.value];
    if (!ollama.loaded.contains(model) && !ollama.loading) {
      const bool just_left = ollama.unloaded.contains(model) && now_ - ollama.unloaded[model] < 3s;
      if (manner_ == Manner::kCalm && !just_left) broken(Promise::kI3, "a load by a request");
      ollama.loaded[model] = bytes_of(model);
      check_memory(grant.backend);
    }
    after(Duration(0), [this, lease = grant.lease] {
      if (open_.contains(lease)) serve(lease);
    });
  }
  void note(const Refuse& refuse) {
    ++findings_.refused;
    ++refused_;
    const bool full = refuse.error.message.find("too many requests wait") != std::string::npos;
    if (full) ++findings_.full_queues;
    if (refuse.error.message.find("no slot was free") != std::string::npos) {
      ++findings_.served_late;
      const auto who = waiting_.find(refuse.request);
      const bool patient =
          who != waiting_.end() && who->second.request.ask.priority == Priority::kBatch;
      if (manner_ == Manner::kCalm && !patient) {
        broken(Promise::kI2, "not served in a calm fleet");
      }
    }
    if (waiting_.erase(refuse.request) == 0) broken(Promise::kI7, "refused who does not wait");
  }
  void note(const RevokeLease& revoke) {
    ++findings_.revoked;
    const auto found = open_.find(revoke.lease);
    if (found == open_.end()) return broken(Promise::kI7, "revoked what is over");
    if (found->second.content) broken(Promise::kI7, "revoked behind the first byte");
    if (found->second.revoked) broken(Promise::kI7, "revoked twice");
    found->second.revoked = true;
    after(1ms, [this, lease = revoke.lease] { settle(lease, AttemptResult::kRevoked); });
  }
  void note(const RefreshCatalogues&) {
    if (refreshing_) broken(Promise::kI7, "two refreshes at once");
    refreshing_ = true;
    after(random_time(0, 1), [this] {
      for (std::uint32_t i = 0; i < ollamas_.size(); ++i) list(BackendId{i});
      feed(RefreshDone{});
    });
  }
  void note(const Load& load) {
    ++findings_.loads;
    Ollama& ollama = ollamas_[load.backend.value];
    if (ollama.loading) return broken(Promise::kI3, "two loads at once at an instance");
    ollama.loading = load.model;
    check_memory(load.backend);
    const bool fails = manner_ == Manner::kWild && rng_.below(8) == 0;
    const double size = static_cast<double>(bytes_of(load.model)) / 1e9;
    const Duration takes = random_time(0.5, 1.5 + size / 2);
    after(takes, [this, load, fails] { load_ends(load.backend, load.model, !fails); });
  }
  void note(const Unload& unload) {
    Ollama& ollama = ollamas_[unload.backend.value];
    if (unload.reason == UnloadReason::kPlacement) {
      for (const auto& [lease, open] : open_) {
        if (open.backend == unload.backend && open.request.ask.model == unload.model) {
          broken(Promise::kI3, "unloaded under somebody");
        }
      }
    }
    if (ollama.loaded.erase(unload.model) > 0) ++findings_.swaps;
    ollama.unloaded[unload.model] = now_ + random_time(0, 1);
    after(20ms, [this, backend = unload.backend] { look_once(backend); });
  }
  void note(const Canary& canary) {
    after(1s, [this, backend = canary.backend] { feed(CanaryDone{backend, true, {}}); });
  }
  void note(const HealthChanged&) {}
  void note(const Incident&) {}
  void note(const RestartInstance&) {}
  void note(const WakeAt& wake) { wake_at_ = wake.when; }

  // --- the second set of books ---
  void check_slots(const Grant& grant, const ModelName& model) {
    Insight::State& state = Insight::of(scheduler_);
    const auto index = state.brain->forecasts.model_of(state.instances, model);
    if (grant.why.last_resort || !index) return;
    const auto running = static_cast<std::uint32_t>(std::ranges::count_if(open_, [&](auto& each) {
      return each.second.backend == grant.backend && each.second.request.ask.model == model;
    }));
    const std::uint32_t slots = state.brain->forecasts.estimates().slots({grant.backend, *index});
    if (running == slots) ++findings_.full_slots;
    if (running > slots) broken(Promise::kI3, "more requests than slots");
  }
  void check() {
    check_bounds();
    check_books();
    check_plans();
    for (const auto& [id, waiting] : waiting_) {
      const Settings& settings = machine_.settings;
      // It may wait for memory before and after it waited for a slot.
      const Duration most = settings.queue_wait + 2 * settings.room_wait + settings.refresh_wait;
      if (now_ - waiting.since > most * (1 + waiting.request.attempt)) {
        broken(Promise::kI2, "request " + std::to_string(id.value) + " waits for ever");
      }
    }
    // What one event sets free may be given away with the next one, a millisecond later.
    const std::string idle = idle_slot_for_somebody();
    if (idle.empty()) {
      idle_since_ = kNever;
    } else if (idle_since_ == kNever) {
      idle_since_ = now_;
    } else if (now_ - idle_since_ > 2ms) {
      broken(Promise::kI1, idle);
    }
  }
  void check_bounds() {
    const Insight::State& state = Insight::of(scheduler_);
    const Settings& settings = machine_.settings;
    const bool kept = state.brain->queue.size() <= settings.max_queued &&
                      state.brain->queue.bytes() <= settings.max_queued_bytes &&
                      state.misses.size() <= settings.max_waiting &&
                      state.room.size() <= settings.max_waiting;
    if (!kept) broken(Promise::kI4, "a queue is longer than its bound");
  }
  void check_books() {
    const Insight::State& state = Insight::of(scheduler_);
    const std::size_t inside = state.brain->queue.size() + state.misses.size() + state.room.size();
    if (inside != waiting_.size()) broken(Promise::kI5, "somebody waits nowhere, or twice");
    if (state.leases.size() != open_.size()) broken(Promise::kI5, "a lease too many or too few");
    if (open_.empty() && !state.names.empty()) broken(Promise::kI5, "a name outlives its requests");
    const std::uint64_t ended = done_ + refused_ + gone_;
    if (arrived_ != waiting_.size() + open_.size() + ended) {
      broken(Promise::kI5, "who arrived is not who is there and who left");
    }
    std::vector<std::uint32_t> in_flight(ollamas_.size(), 0);
    for (const auto& [lease, open] : open_) ++in_flight[open.backend.value];
    for (std::uint32_t i = 0; i < ollamas_.size(); ++i) {
      const std::size_t known = state.brain->forecasts.ledger().site(BackendId{i}).open.size();
      if (in_flight[i] == 0 && !state.instances[i].hang.nothing_under_way()) {
        broken(Promise::kI5, "a watch waits for requests that have ended");
      }
      if (state.instances[i].in_flight != in_flight[i] || known > in_flight[i]) {
        broken(Promise::kI5, "counts of instance " + std::to_string(i) + " are wrong");
      }
    }
  }
  // Who was loaded lately and is waited for is not sent away for another.
  void check_plans() {
    const Insight::State& state = Insight::of(scheduler_);
    const Forecasts& forecasts = state.brain->forecasts;
    for (std::uint32_t i = 0; i < ollamas_.size(); ++i) {
      const auto& plan = forecasts.seating().site(BackendId{i}).plan;
      const Instant begun = plan ? plan->begun : Instant{};
      const bool fresh = plan && begun != plans_[i] && begun == now_;
      plans_[i] = begun;
      if (!fresh) continue;
      for (const auto& [model, line] : state.brain->queue.lines()) {
        const BackendId backend{i};
        if (std::ranges::find(plan->leaving, model) == plan->leaving.end()) {
          if (forecasts.seating().ready(backend, model)) ++findings_.spared;
          continue;
        }
        const double load = forecasts.estimates().load_s({backend, model});
        const auto here = loaded_at_.find({backend, forecasts.name(model)});
        if (here == loaded_at_.end()) continue;
        // Twice, but what was learned in the same event may have come after the plan. And of one
        // that died and came back nobody knows yet how long it is there.
        if (manner_ == Manner::kCalm && to_seconds(now_ - here->second) < 1.5 * load) {
          broken(Promise::kI8, "sent away before it was worth its load");
        }
      }
    }
    note_loaded();
  }
  void note_loaded() {
    for (std::uint32_t i = 0; i < ollamas_.size(); ++i) {
      const auto gone = [&](const auto& each) {
        return each.first.first == BackendId{i} && !ollamas_[i].loaded.contains(each.first.second);
      };
      std::erase_if(loaded_at_, gone);
      for (const auto& [model, bytes] : ollamas_[i].loaded) {
        loaded_at_.emplace(std::pair(BackendId{i}, model), now_);
      }
    }
  }
  // Says where, or nothing.
  std::string idle_slot_for_somebody() {
    Insight::State& state = Insight::of(scheduler_);
    std::string found;
    std::map<ModelName, int> again;
    for (const auto& [id, waiting] : waiting_) {
      if (!waiting.request.tried.empty()) ++again[waiting.request.ask.model];
    }
    for (const auto& [id, waiting] : waiting_) {
      const RequestArrived& request = waiting.request;
      // Of those that may not go everywhere a few are passed over, and no more.
      if (again[request.ask.model] > 8) continue;
      const auto model = state.brain->forecasts.model_of(state.instances, request.ask.model);
      if (!model) continue;
      for (const Instance& instance : state.instances) {
        // All are asked: who is held back is counted there.
        if (!could_begin(state, instance, request, *model) || !found.empty()) continue;
        found = "request " + std::to_string(id.value) + " for " + request.ask.model.text() +
                " waits beside a free slot of instance " + std::to_string(instance.spec.id.value);
      }
    }
    // While some wait for memory, a claim of theirs may be in the way of all.
    return state.room.size() > 0 ? std::string() : found;
  }
  bool could_begin(const Insight::State& state, const Instance& instance,
                   const RequestArrived& request, ModelIndex model) {
    const BackendId id = instance.spec.id;
    const HealthState health = instance.health.state();
    const bool up = health == HealthState::kUp ||
                    (health == HealthState::kProbation && instance.in_flight_of_term == 0);
    if (!up || instance.draining || !instance.lists(request.ask.model)) return false;
    if (instance.in_flight >= instance.spec.max_in_flight) return false;
    if (std::ranges::find(request.tried, id) != request.tried.end()) return false;
    const Filtered memory = state.room.verdict(state.instances, instance, request.ask.model);
    if (memory != Filtered::kNot || !state.brain->forecasts.seating().ready(id, model))
      return false;
    const std::uint32_t running = state.brain->forecasts.ledger().running(id, model);
    const std::uint32_t slots = state.brain->forecasts.estimates().slots({id, model});
    if (running >= slots) return false;
    // The last slot of a busy GPU is kept for those who have less than their part, as long as
    // these are about: who is held back has others running.
    const WaitQueue::Waiting* const waiting = state.brain->queue.find(request.request);
    const Priority priority = waiting == nullptr ? request.ask.priority : waiting->band;
    if (!state.brain->shares.leaves_last_slot(request.ask.tenant, priority)) return true;
    const std::size_t computing = state.brain->forecasts.ledger().site(id).open.size();
    if (computing == 0 || computing + 1 < slots) return true;
    ++findings_.held_back;
    if (priority == Priority::kBatch) return false;  // kept for whoever is in a hurry
    const bool runs = std::ranges::any_of(
        open_, [&](auto& open) { return open.second.request.ask.tenant == request.ask.tenant; });
    return !runs;
  }

  Rng rng_;
  std::uint64_t seed_;
  Manner manner_;
  Machine machine_;
  Scheduler scheduler_;
  Findings& findings_;
  std::vector<Ollama> ollamas_;
  std::vector<Instant> plans_;  // when each instance's plan was begun
  std::map<std::pair<BackendId, ModelName>, Instant> loaded_at_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  std::uint64_t planned_ = 0;
  Instant now_ = Instant(1000s);
  Instant wake_at_ = kNever;
  Instant last_arrival_{};
  Instant idle_since_ = kNever;
  bool ended_ = false;
  bool refreshing_ = false;
  std::uint64_t last_request_ = 0;
  std::uint64_t arrived_ = 0, done_ = 0, refused_ = 0, gone_ = 0;
  std::map<RequestId, Waiting> waiting_;
  std::map<LeaseId, Open> open_;
  std::vector<Logged> log_;
};

}  // namespace drover::core::testing
