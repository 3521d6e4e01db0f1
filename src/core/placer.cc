#include "core/placer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace drover::core {
namespace {

// How far ahead it is counted who will miss a model, in seconds. Much longer than between two
// requests for most models, and all of them would look equally missed.
constexpr double kHorizon = 20;
// Of those who use one replica among several, what each loses when it goes, in seconds.
constexpr double kCopyLoss = 0.1;
constexpr double kStrayLoss = 0.02;  // if it does not belong there anyway
// Where memory is full, who has to come back sends somebody else away, who has to come back.
constexpr double kCascade = 3;
// Times what those who come while it is loaded again wait for the load itself, half of it in the
// mean: then they stand behind one another. Of the order of what is right: 1, 8 and 16 move the
// simulator's results by less than seeds (200 of them, where memory is short).
constexpr double kBehind = 4;
// Of a model that is configured to stay loaded, but is not pinned: everybody else leaves first.
constexpr double kStayLoss = 1000;
// Requests a second below which a model is not in use: one in five minutes.
constexpr double kUnused = 1.0 / 300;
// Loaded more recently than this, or than twice its load: leave it alone, if it can be helped.
constexpr double kResident = 10;
constexpr double kTooSoon = 10;
constexpr double kBatch = 2;     // loads, as long as somebody waits for the model
constexpr double kUnload = 2.5;  // seconds: the order, and until the memory is free
// Whoever is loaded where it does not belong is soon sent away again, and who made room comes back.
constexpr double kNotItsPlace = 2;
// On free memory: those of so many seconds have to win more than the load takes.
// By the simulator: with 60 there is 1 to 5 % more to read where memory is short.
constexpr double kCopyHorizon = 20;

// Models are looked at in turn, few at a time: one decision must not take longer than 0.1 ms.
constexpr std::size_t kAtOnce = 2;
constexpr Duration kRenew = std::chrono::seconds(5);
// Requests under way in the fleet, that is seconds of delay in each second.
constexpr double kWorthRearranging = 2;
constexpr Duration kRearrangeAgain = std::chrono::seconds(10);
constexpr Duration kLookAgain = std::chrono::milliseconds(250);
constexpr Duration kCopyAgain = std::chrono::seconds(1);

}  // namespace

void Placer::forget(ModelIndex model) {
  if (model < looked_.size()) looked_[model] = Instant::min();
}

void Placer::place_became_free() { looked_.assign(looked_.size(), Instant::min()); }

bool Placer::is_due(ModelIndex model, Instant now, Duration pause) {
  if (model >= looked_.size()) looked_.resize(model + 1, Instant::min());
  return looked_[model] == Instant::min() || now - looked_[model] >= pause;
}

Instant Placer::next_due(const WaitQueue& queue) const { return queue.size() == 0 ? kNever : due_; }

void Placer::renew(const Surroundings& around) {
  if (!assignment_.under_way()) {
    if (renewed_ != Instant::min() && around.now - renewed_ < kRenew) return;
    renewed_ = around.now;
    assignment_.begin();
  }
  if (assignment_.go_on(around)) rearrange(around);
}

// Where the fleet would be far better off otherwise, it is brought nearer to that, one load after
// the other.
void Placer::rearrange(const Surroundings& around) {
  // In a backlog every load stands in somebody's way, and what is asked for is what was let in.
  if (around.queue.size() > 0) return;
  if (assignment_.gain() < kWorthRearranging || around.forecasts.seating().plans() > 0) return;
  if (rearranged_ != Instant::min() && around.now - rearranged_ < kRearrangeAgain) return;
  for (const Assignment::Place& place : assignment_.missing()) {
    const Instance& instance = around.instances[place.backend.value];
    Move move = move_to(around, place.model, instance, Evict::kStrays);
    if (!move.possible) continue;
    rearranged_ = around.now;
    return begin(around, place.model, place.backend, LoadReason::kCopy, std::move(move));
  }
}

void Placer::consider_waiting(const Surroundings& around) {
  const auto& lines = around.queue.lines();
  if (lines.empty()) return;
  renew(around);
  // Who waits longest comes first: there may be but one place for it, and others have more.
  std::array<const WaitQueue::Waiting*, kAtOnce> oldest{};
  for (const auto& [model, line] : lines) {
    if (!is_due(model, around.now, kLookAgain)) continue;
    const WaitQueue::Waiting* waiting = &line.oldest();
    for (const WaitQueue::Waiting*& place : oldest) {
      if (place == nullptr || waiting->since < place->since) std::swap(place, waiting);
      if (waiting == nullptr) break;
    }
  }
  for (const WaitQueue::Waiting* const waiting : oldest) {
    if (waiting == nullptr) break;
    const ModelIndex model = waiting->model;
    looked_[model] = around.now;
    consider(around, model);
  }
  due_ = around.now + kLookAgain;
}

// One at a time: until it is there it is not counted among those that were asked for.
void Placer::consider_wanted(const Surroundings& around, ModelIndex model, BackendId backend) {
  if (around.forecasts.seating().coming_at(model) > 0) return;
  Move move = move_to(around, model, around.instances[backend.value], Evict::kSpare);
  if (move.possible) begin(around, model, backend, LoadReason::kWanted, std::move(move));
}

// Of a replica where everybody was turned away, or that is taken out, nothing is to be hoped for.
bool Placer::is_of_use(const Surroundings& around, ModelIndex model,
                       const WaitQueue::Waiting& waiting) {
  return std::ranges::any_of(around.instances, [&](const Instance& instance) {
    const BackendId id = instance.spec.id;
    return around.forecasts.seating().ready(id, model) && around.serves(instance) &&
           std::ranges::find(waiting.request.tried, id) == waiting.request.tried.end();
  });
}

// Where nobody knows how much fits, Ollama may hold a load back until somebody's last answer ends.
// Beside one that takes far longer than it should another is tried; no third while both are out, it
// may be the disk.
bool Placer::stands_still(const Surroundings& around, ModelIndex model) {
  const Seating& seating = around.forecasts.seating();
  if (seating.coming_at(model) != 1) return false;
  return std::ranges::any_of(around.instances, [&](const Instance& instance) {
    const BackendId id = instance.spec.id;
    return seating.is_late(id, model, around.now) && !around.room.memory().capacity(id);
  });
}

void Placer::consider(const Surroundings& around, ModelIndex model) {
  const Forecasts& forecasts = around.forecasts;
  const Seating& seating = forecasts.seating();
  if (seating.coming_at(model) > 0 && !stands_still(around, model)) return;
  // Who has more than an equal part already sends nobody away whom others use, but for who has
  // waited for half of its patience.
  const double waiting = around.waiting(model);
  const WaitQueue::Line& line = around.queue.lines().at(model);
  const WaitQueue::Waiting& oldest = line.oldest();
  const bool starved = around.now - oldest.since > (oldest.until - oldest.since) / 2;
  const Evict evict = waiting > 0 || starved ? Evict::kAnybody : Evict::kSpare;
  const std::vector<BackendId>& tried = oldest.request.tried;
  const bool anywhere = seating.ready_at(model) > 0 && is_of_use(around, model, oldest);
  const Instance* best = nullptr;
  Move cheapest;
  for (const Instance& instance : around.instances) {
    if (std::ranges::find(tried, instance.spec.id) != tried.end()) continue;
    const bool belongs = assignment_.has(model, instance.spec.id);
    Move move = move_to(around, model, instance, evict);
    if (!move.possible) continue;
    if (!belongs && !anywhere) move.loss_s *= kNotItsPlace;
    const double cost = move.delay_s + move.loss_s;
    if (best != nullptr && cost >= cheapest.delay_s + cheapest.loss_s) continue;
    best = &instance;
    cheapest = std::move(move);
  }
  if (best == nullptr) return;
  if (anywhere) {
    // A second load pays when the line is longer than what it takes to get there, and those in it
    // win more than others lose.
    const double line_s = forecasts.wait_s(model, static_cast<std::size_t>(waiting), around.now);
    // Half the line is the mean wait; and as many again come while it is served.
    const double win_s = 2 * waiting * line_s / 2 / (seating.ready_at(model) + 1);
    if (line_s < cheapest.delay_s || win_s < cheapest.loss_s) return;
  }
  begin(around, model, best->spec.id, anywhere ? LoadReason::kCopy : LoadReason::kDemand,
        std::move(cheapest));
}

void Placer::consider_copy(const Surroundings& around, ModelIndex model, BackendId busy,
                           std::uint64_t prompt_bytes) {
  const Forecasts& forecasts = around.forecasts;
  if (forecasts.seating().coming_at(model) > 0 || !is_due(model, around.now, kCopyAgain)) return;
  looked_[model] = around.now;
  renew(around);
  const double requests = forecasts.rate(model, around.now) * kCopyHorizon;
  const double here = forecasts.price(around.instances[busy.value], model, {prompt_bytes}).cost_s;
  const Instance* best = nullptr;
  Move chosen;
  double most = 0;
  for (const Instance& instance : around.instances) {
    const bool belongs = assignment_.has(model, instance.spec.id);
    Move move = move_to(around, model, instance, belongs ? Evict::kSpare : Evict::kNobody);
    if (!move.possible) continue;
    const double load = forecasts.estimates().load_s({instance.spec.id, model});
    const double there = forecasts.price(instance, model, {prompt_bytes}).cost_s - load;
    const double win = requests * (here - there) - load - move.loss_s;
    if (win <= most) continue;
    most = win;
    best = &instance;
    chosen = std::move(move);
  }
  if (best != nullptr) begin(around, model, best->spec.id, LoadReason::kCopy, std::move(chosen));
}

void Placer::begin(const Surroundings& around, ModelIndex model, BackendId backend,
                   LoadReason reason, Move move) {
  Seating::Plan plan;
  plan.model = model;
  plan.reason = reason;
  plan.leaving = std::move(move.leaving);
  plan.bytes = around.need(around.instances[backend.value], model);
  plan.load_s = around.forecasts.estimates().load_s({backend, model});
  around.forecasts.seating().begin(backend, std::move(plan), around.now);
}

// --- costs ---

Placer::Move Placer::move_to(const Surroundings& around, ModelIndex model, const Instance& instance,
                             Evict evict) const {
  const BackendId id = instance.spec.id;
  const Forecasts& forecasts = around.forecasts;
  const Seating::Site& site = forecasts.seating().site(id);
  const Seating::Seat& seat = forecasts.seating().seat(id, model);
  Move move;
  if (site.plan || !site.known || seat.state != Seating::State::kAbsent) return move;
  if (seat.not_before > around.now || !around.serves(instance)) return move;
  const ModelName& name = forecasts.name(model);
  if (!instance.lists(name)) return move;
  if (around.room.verdict(around.instances, instance, name) != Filtered::kNot) return move;
  const std::uint64_t need = around.room.need(instance, name);
  move.possible = make_room(around, instance, need, evict, move);
  if (!move.possible) return move;

  const Pair pair{id, model};
  const Ledger::Site& load = forecasts.ledger().site(id);
  const double back = std::max(0.0, to_seconds(site.memory_back - around.now));
  move.delay_s += forecasts.estimates().load_s(pair) + back;
  if (assignment_.has(model, id)) return move;
  // Whoever uses it there shares the GPU with those who are there.
  const double step = forecasts.estimates().step_s(pair, 1);
  const double writing = kWriting * forecasts.estimates().output_tokens(model) * step;
  const double uses = 1 + forecasts.rate(model, around.now) * kHorizon;
  move.loss_s += uses * (writing * (1 + load.models) + load.busy);
  return move;
}

bool Placer::make_room(const Surroundings& around, const Instance& instance, std::uint64_t need,
                       Evict evict, Move& move) const {
  const BackendId id = instance.spec.id;
  const Forecasts& forecasts = around.forecasts;
  const bool measured = around.room.memory().capacity(id).has_value();
  // Nobody knows how much fits: Ollama has to see to it itself.
  if (!measured && !forecasts.seating().learned_bytes(id)) return true;
  struct Victim {
    ModelIndex model;
    std::uint64_t bytes;
    double loss_s;
    double drain_s;
  };
  std::vector<Victim> victims;
  double free = around.usable(instance);
  for (const ModelIndex model : forecasts.seating().site(id).present) {
    const Seating::Seat& seat = forecasts.seating().seat(id, model);
    const std::uint64_t bytes =
        seat.bytes > 0 ? seat.bytes : around.room.need(instance, forecasts.name(model));
    free -= static_cast<double>(bytes);
    if (evict == Evict::kNobody) continue;
    const Stays stay = stays(around, instance, model);
    if (stay == Stays::kAlways) continue;
    const bool spare =
        stay == Stays::kNo &&
        (forecasts.seating().ready_at(model) > 1 ||
         (around.queue.size(model) == 0 && forecasts.rate(model, around.now) < kUnused));
    if (evict == Evict::kSpare && !spare) continue;
    // A load has to be worth it: those who wait for it are served first, for a while.
    const double served_s = to_seconds(around.now - seat.since);
    const bool batch = served_s < kBatch * forecasts.estimates().load_s({id, model});
    if (batch && around.queue.size(model) > 0) continue;
    const bool stray = stay == Stays::kNo && (spare || !assignment_.has(model, id));
    if (evict == Evict::kStrays && !stray) continue;
    const double loss = loss_s(around, model, id) + (stay == Stays::kRather ? kStayLoss : 0);
    victims.push_back({model, bytes, loss, forecasts.drain_s(id, model, around.now)});
  }
  const auto missing = [&] { return static_cast<double>(need) - free; };
  if (missing() <= 0) return true;
  std::ranges::sort(victims, {}, [](const Victim& v) { return v.loss_s + v.drain_s; });
  std::vector<Victim> chosen;
  for (const Victim& victim : victims) {
    if (missing() <= 0) break;
    free += static_cast<double>(victim.bytes);
    chosen.push_back(victim);
  }
  // What was learned may be too little; with nobody else there all there is may be used.
  if (missing() > 0 && (measured || evict != Evict::kAnybody)) return false;
  double drain = 0;
  // The dearest first: is there room without it, too?
  for (std::size_t i = chosen.size(); i-- > 0;) {
    const double bytes = static_cast<double>(chosen[i].bytes);
    if (missing() + bytes <= 0) {
      free -= bytes;
      continue;
    }
    move.leaving.push_back(chosen[i].model);
    move.loss_s += chosen[i].loss_s;
    drain = std::max(drain, chosen[i].drain_s);
  }
  move.delay_s += drain + kUnload;
  return true;
}

// Whether it is configured to stay there: pinned, or one of no more than shall be loaded.
Placer::Stays Placer::stays(const Surroundings& around, const Instance& instance,
                            ModelIndex model) {
  const ModelName& name = around.forecasts.name(model);
  for (const Stay& stay : around.stays) {
    if (!instance.are_one(stay.model, name)) continue;
    const bool pinned = std::ranges::find(stay.pinned, instance.spec.id) != stay.pinned.end();
    if (pinned) return Stays::kAlways;
    if (around.forecasts.seating().ready_at(model) <= stay.instances) return Stays::kRather;
  }
  return Stays::kNo;
}

double Placer::loss_s(const Surroundings& around, ModelIndex model, BackendId backend) const {
  const Forecasts& forecasts = around.forecasts;
  const double waiting = around.waiting(model);
  const double rate = forecasts.rate(model, around.now);
  const double reload = forecasts.estimates().load_s({backend, model}) + kUnload;
  const Seating::Seat& seat = forecasts.seating().seat(backend, model);
  double loss = 0;
  const double age = to_seconds(around.now - seat.since);
  if (age < std::max(kResident, 2 * reload)) loss += kTooSoon;
  const double others = forecasts.seating().ready_at(model) - 1.0;
  const double uses = rate * kHorizon + waiting;
  const bool belongs = assignment_.has(model, backend);
  if (others > 0) return loss + (belongs ? kCopyLoss : kStrayLoss) * uses / others;
  return loss + (belongs || !assignment_.placed(model) ? kCascade : 1) *
                    (std::min(1.0, uses) * reload + kBehind * rate * reload * reload / 2 +
                     waiting * reload);
}

}  // namespace drover::core
