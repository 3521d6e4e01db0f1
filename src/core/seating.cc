#include "core/seating.h"

#include <algorithm>

#include "base/check.h"

namespace drover::core {
namespace {

// A look that was under way when a seat changed may still tell of before.
constexpr Duration kLookLasts = std::chrono::seconds(1);
// Until the memory of an unloaded model is seen to be free by the next load. Ollama itself waits up
// to 5 s for most of it; a load that comes sooner may send somebody else away.
constexpr Duration kMemoryLag = std::chrono::milliseconds(1500);
constexpr Duration kAskAgain = std::chrono::seconds(5);
// After a load that failed, doubling.
constexpr Duration kFirstPause = std::chrono::seconds(10);
constexpr std::uint32_t kMostDoublings = 5;
// A load that is not answered: Ollama gives up after five minutes without progress itself.
constexpr double kPatience = 60;
constexpr double kPatienceTimes = 5;
// One that is late takes longer than this and so many times what was predicted. Seconds.
constexpr double kLate = 2;
constexpr double kLateTimes = 2;

}  // namespace

void Seating::sized(ModelIndex model) {
  if (model >= seats_.size()) {
    seats_.resize(model + 1);
    counts_.resize(model + 1);
  }
  if (seats_[model].empty()) seats_[model].resize(sites_.size());
}

void Seating::forget(ModelIndex model) {
  if (model >= seats_.size()) return;
  for (Seat& seat : seats_[model]) {
    const std::uint32_t epoch = seat.epoch + 1;
    seat = {};
    seat.epoch = epoch;
  }
  counts_[model].ready = 0;
  for (Site& site : sites_) std::erase(site.present, model);
}

void Seating::set(BackendId backend, ModelIndex model, State state, Instant now) {
  Seat& seat = this->seat(backend, model);
  if (seat.state == state) return;
  std::vector<ModelIndex>& present = sites_[backend.value].present;
  if (seat.state == State::kAbsent) present.push_back(model);
  if (state == State::kAbsent) {
    std::erase(present, model);
    ++seat.epoch;
  }
  if (state == State::kReady) ++counts_[model].ready;
  if (seat.state == State::kReady) --counts_[model].ready;
  seat.state = state;
  seat.since = now;
}

std::vector<ModelIndex> Seating::looked(BackendId backend, const std::vector<Listed>& listed,
                                        Instant now) {
  std::vector<ModelIndex> arrived;
  Site& site = sites_[backend.value];
  site.known = true;
  double total = 0;
  double gone = 0;
  for (const Listed& each : listed) {
    total += static_cast<double>(each.bytes);
    Seat& seat = this->seat(backend, each.model);
    seat.bytes = each.bytes;
    seat.context = each.context;
    if (seat.state != State::kAbsent || now - seat.since < kLookLasts) continue;
    set(backend, each.model, State::kReady, now);
    arrived.push_back(each.model);
  }
  for (const ModelIndex model : std::vector<ModelIndex>(site.present)) {
    if (std::ranges::find(listed, model, &Listed::model) != listed.end()) continue;
    const Seat& seat = this->seat(backend, model);
    const bool leaving = seat.state == State::kLeaving;
    // One that was loaded a moment ago and has to leave already is still there, too.
    const bool told = leaving && seat.ask_unload_at > seat.since;
    if (!told && now - seat.since < kLookLasts) continue;
    if (!leaving) gone += static_cast<double>(seat.bytes);
    if (leaving) site.memory_back = std::max(site.memory_back, now + kMemoryLag);
    set(backend, model, State::kAbsent, now);
  }
  learn_room(site, total, gone, now);
  return arrived;
}

// Of an instance whose memory nobody reads. Whoever left while a load was under way had to make
// room for it; at other times it was not used for long.
void Seating::learn_room(Site& site, double listed, double gone, Instant now) {
  // Others may have used the memory when it was too little.
  constexpr Duration kForget = std::chrono::hours(1);
  constexpr double kMoreAgain = 1.1;
  constexpr Duration kSeenUntil = std::chrono::seconds(3);  // by the next look
  if (listed > site.too_much) site.too_much = 0;
  // Not forgotten: everybody would have a place there at once, and loads would drive out loads. And
  // once only until there was a load: after a night it would be as good as forgotten.
  if (now - site.too_much_at > kForget && !site.raised) {
    site.too_much *= kMoreAgain;
    site.too_much_at = now;
    site.raised = true;
  }
  site.held = std::max(site.held, listed);
  const bool loading = site.plan && site.plan->ordered;
  if (gone <= 0 || (!loading && now - site.loaded_until > kSeenUntil)) return;
  const double sum = listed + gone + (loading ? site.plan->bytes : 0);
  if (site.too_much > 0 && site.too_much <= sum) return;
  site.too_much = sum;
  site.too_much_at = now;
  site.raised = false;
  site.held = std::min(site.held, sum);
}

// Half way between what fits and what does not: whichever the next load shows, the gap is halved.
std::optional<double> Seating::learned_bytes(BackendId backend) const {
  const Site& site = sites_[backend.value];
  if (site.too_much == 0) return std::nullopt;
  return (site.held + site.too_much) / 2;
}

bool Seating::is_late(BackendId backend, ModelIndex model, Instant now) const {
  const std::optional<Plan>& plan = site(backend).plan;
  if (!plan || plan->model != model || !plan->ordered) return false;
  return to_seconds(now - plan->ordered_at) > kLate + kLateTimes * plan->load_s;
}

void Seating::reset(BackendId backend) {
  Site& site = sites_[backend.value];
  for (const ModelIndex model : std::vector<ModelIndex>(site.present)) {
    set(backend, model, State::kAbsent, {});
  }
  if (site.plan) end_plan(site);
  site.known = false;
  site.memory_back = {};
}

void Seating::served(BackendId backend, ModelIndex model, Instant now) {
  Seat& seat = this->seat(backend, model);
  seat.failures = 0;
  if (seat.state == State::kAbsent) set(backend, model, State::kReady, now);
}

bool Seating::load_done(BackendId backend, ModelIndex model, bool done, Instant now) {
  Site& site = sites_[backend.value];
  Seat& seat = this->seat(backend, model);
  const bool planned = site.plan && site.plan->ordered && site.plan->model == model;
  if (planned) end_plan(site);
  site.loaded_until = now;
  site.load_out_until = {};
  if (done) {
    site.raised = false;
    served(backend, model, now);
    return planned;
  }
  seat.not_before = now + kFirstPause * (1U << std::min(seat.failures, kMostDoublings));
  ++seat.failures;
  return planned;
}

// --- plans ---

void Seating::begin(BackendId backend, Plan plan, Instant now) {
  Site& site = sites_[backend.value];
  DROVER_ASSERT(!site.plan);
  for (const ModelIndex model : plan.leaving) {
    set(backend, model, State::kLeaving, now);
    seat(backend, model).ask_unload_at = now;
  }
  plan.begun = now;
  site.plan = std::move(plan);
  ++counts_[site.plan->model].coming;
  ++plans_;
}

void Seating::end_plan(Site& site) {
  --counts_[site.plan->model].coming;
  --plans_;
  site.plan.reset();
}

Instant Seating::patience(const Plan& plan) {
  const std::chrono::duration<double> time(std::max(kPatience, kPatienceTimes * plan.load_s));
  return plan.ordered_at + std::chrono::duration_cast<Duration>(time);
}

void Seating::give_up(BackendId backend, Instant now) {
  Site& site = sites_[backend.value];
  for (const ModelIndex model : site.plan->leaving) {
    const Seat& seat = this->seat(backend, model);
    if (seat.state != State::kLeaving) continue;
    // One that was told to unload is going, whatever a look that is under way says.
    const bool told = seat.ask_unload_at > site.plan->begun;
    if (told) site.memory_back = std::max(site.memory_back, now + kMemoryLag);
    set(backend, model, told ? State::kAbsent : State::kReady, now);
  }
  end_plan(site);
}

Seating::Step Seating::next_step(BackendId backend, const Ledger& ledger, Instant now) {
  Site& site = sites_[backend.value];
  if (!site.plan) return {};
  Plan& plan = *site.plan;
  if (plan.ordered) {
    if (now > patience(plan)) load_done(backend, plan.model, false, now);
    return {};
  }
  bool all_gone = true;
  for (const ModelIndex model : plan.leaving) {
    Seat& seat = this->seat(backend, model);
    if (seat.state != State::kLeaving) continue;
    all_gone = false;
    if (ledger.running(backend, model) > 0 || seat.ask_unload_at > now) continue;
    seat.ask_unload_at = now + kAskAgain;
    return {Step::Kind::kUnload, model, plan.reason};
  }
  if (!all_gone || site.memory_back > now || site.load_out_until > now) return {};
  plan.ordered = true;
  plan.ordered_at = now;
  site.load_out_until = patience(plan);
  return {Step::Kind::kLoad, plan.model, plan.reason};
}

Instant Seating::next_due(BackendId backend) const {
  const Site& site = sites_[backend.value];
  if (!site.plan) return kNever;
  const Plan& plan = *site.plan;
  if (plan.ordered) return patience(plan) + Duration(1);
  Instant due = std::max(site.memory_back, site.load_out_until);
  for (const ModelIndex model : plan.leaving) {
    const Seat& seat = this->seat(backend, model);
    // Busy ones are heard of when they end.
    if (seat.state == State::kLeaving) due = std::max(due, seat.ask_unload_at);
  }
  return due;
}

}  // namespace drover::core
