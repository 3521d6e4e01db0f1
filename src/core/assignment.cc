#include "core/assignment.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <tuple>

namespace drover::core {
namespace {

// Of a GPU's memory: the driver and fragmentation take the rest.
constexpr double kUsable = 0.95;
// Who was asked for less often than this is not in use: once in half an hour.
constexpr double kLeastRate = 1.0 / 1800;
// What a move has to win, in requests under way: it costs a load, caches, and may be for nothing.
constexpr double kTrouble = 0.3;
// A GPU that would be busier than this gets no second replica of anything.
constexpr double kBusy = 0.9;
constexpr int kRounds = 3;
constexpr std::uint32_t kMoves = 20;  // improvements of one draft

// What parts of the work take, in nanoseconds, on a core of 2024: only their order of size counts.
constexpr double kAtOnce = 50'000;
constexpr double kAskEstimates = 150;  // about one model at one instance
constexpr double kLook = 10;           // at one place

// Requests under way at a server that is busy for this part of its time; beyond nine tenths a
// straight line, because demand is an estimate.
double queued_at(double busy) {
  constexpr double kStraight = 0.9;
  if (busy < kStraight) return busy / (1 - busy);
  return 9 + (busy - kStraight) * 100;
}

}  // namespace

double Surroundings::usable(const Instance& instance) const {
  const auto capacity = room.memory().capacity(instance.spec.id);
  if (capacity) return kUsable * static_cast<double>(*capacity);
  const auto learned = forecasts.seating().learned_bytes(instance.spec.id);
  return learned.value_or(std::numeric_limits<double>::infinity());
}

double Surroundings::need(const Instance& instance, ModelIndex model) const {
  return static_cast<double>(room.need(instance, forecasts.name(model)));
}

bool Surroundings::serves(const Instance& instance) const {
  const HealthState health = instance.health.state();
  return !instance.taken_out() && (health == HealthState::kUp || health == HealthState::kProbation);
}

bool Surroundings::suits(const Instance& instance, const ModelName& model) const {
  return instance.spec.placement != Placement::kSpanning ||
         room.verdict(instances, instance, model) != Filtered::kReserved;
}

void Assignment::begin() {
  stage_ = Stage::kGuests;
  next_ = 0;
  draft_.guests.clear();
}

bool Assignment::go_on(const Surroundings& around) {
  double left = kAtOnce;
  while (stage_ != Stage::kRest && left > 0) left -= step(around);
  return stage_ == Stage::kRest;
}

double Assignment::step(const Surroundings& around) {
  switch (stage_) {
    case Stage::kRest:
      return 0;
    case Stage::kGuests:
      return find_guest(around);
    case Stage::kChoose:
      return choose(around);
    case Stage::kKeep:
    case Stage::kPlace:
    case Stage::kImprove:
      return place_next(around);
    case Stage::kCopies:
      return copy_next(around);
    case Stage::kCompare:
      return compare_next(around);
  }
  return 0;
}

// --- who ---

double Assignment::find_guest(const Surroundings& around) {
  const ModelIndex model = next_++;
  if (model >= around.forecasts.models()) {
    stage_ = Stage::kChoose;
    return kLook;
  }
  Guest guest{.model = model};
  guest.rate = around.forecasts.rate(model, around.now);
  if (guest.rate < kLeastRate && around.queue.size(model) == 0) return kAskEstimates;
  const ModelName& name = around.forecasts.name(model);
  guest.work.reserve(around.instances.size());
  for (const Instance& instance : around.instances) {
    const BackendId id = instance.spec.id;
    const bool able =
        around.serves(instance) && instance.lists(name) && around.suits(instance, name);
    if (able && guest.bytes == 0) {
      guest.bytes = std::max(1.0, around.need(instance, model));
      const double load_s = around.forecasts.estimates().load_s({id, model});
      guest.worth = guest.rate * load_s / guest.bytes;
    }
    // Negative: it cannot be there.
    guest.work.push_back(able ? static_cast<float>(guest.rate * around.forecasts.work_s(id, model))
                              : -1.0F);
  }
  if (guest.bytes > 0) draft_.guests.push_back(std::move(guest));
  return kAskEstimates * static_cast<double>(around.instances.size());
}

double Assignment::choose(const Surroundings& around) {
  double memory = 0;
  for (const Instance& instance : around.instances) {
    // What spans them has no memory beside theirs.
    const bool own = instance.spec.placement != Placement::kSpanning;
    memory += own && around.serves(instance) ? around.usable(instance) : 0;
  }
  std::vector<Guest>& guests = draft_.guests;
  std::ranges::stable_sort(guests, std::greater(), &Guest::worth);
  std::size_t chosen = 0;
  while (chosen < guests.size() && memory >= guests[chosen].bytes) {
    memory -= guests[chosen++].bytes;
  }
  std::ranges::stable_sort(std::span(guests).first(chosen), std::greater(), &Guest::bytes);
  begin_placing(around, Start::kAnew);
  return kLook * static_cast<double>(guests.size() * 10 + around.instances.size());
}

// --- where ---

bool Assignment::fits(const Surroundings& around, const Guest& guest, std::uint32_t backend) const {
  return guest.work[backend] >= 0 && guest.bytes <= around.usable(around.instances[backend]);
}

double Assignment::sits(const Surroundings& around, const Guest& guest,
                        std::uint32_t backend) const {
  return around.forecasts.seating().ready(BackendId{backend}, guest.model) ? 1 : 0;
}

void Assignment::seat(Guest& guest, std::uint32_t backend) {
  const double before = static_cast<double>(guest.places.size());
  for (const std::uint32_t place : guest.places) {
    draft_.busy[place] -= guest.work[place] / before / (before + 1);
  }
  guest.places.push_back(backend);
  draft_.busy[backend] += guest.work[backend] / (before + 1);
  draft_.free[backend] -= guest.bytes;
}

// Of its only place.
void Assignment::move(Guest& guest, std::uint32_t to) {
  const std::uint32_t from = guest.places.front();
  draft_.busy[from] -= guest.work[from];
  draft_.free[from] += guest.bytes;
  guest.places.clear();
  seat(guest, to);
}

void Assignment::begin_placing(const Surroundings& around, Start start) {
  start_ = start;
  next_ = 0;
  stage_ = start == Start::kAsItIs ? Stage::kKeep : Stage::kPlace;
  draft_.free.clear();
  for (const Instance& instance : around.instances) {
    draft_.free.push_back(around.serves(instance) ? around.usable(instance) : 0);
  }
  draft_.busy.assign(draft_.free.size(), 0);
  for (Guest& guest : draft_.guests) guest.places.clear();
}

double Assignment::place_next(const Surroundings& around) {
  const double looks = static_cast<double>(draft_.free.size());
  if (stage_ == Stage::kImprove) {
    if (next_++ < kMoves && improve(around)) return kLook * looks * 10;
    if (start_ == Start::kAsItIs) {
      better_of_both(around);
      begin_copies();
    } else {
      cost_anew_ = cost_of_all(around);
      anew_ = draft_;
      begin_placing(around, Start::kAsItIs);
    }
    return kLook * static_cast<double>(draft_.guests.size() * 10);
  }
  if (next_ == draft_.guests.size()) {
    stage_ = stage_ == Stage::kKeep ? Stage::kPlace : Stage::kImprove;
    next_ = 0;
    return kLook;
  }
  Guest& guest = draft_.guests[next_++];
  if (stage_ == Stage::kKeep) {
    keep_seat(around, guest);
  } else if (guest.places.empty()) {
    put(around, guest, std::numeric_limits<double>::infinity());
  }
  return kLook * looks;
}

// Of several seats the one on the GPU that has the least to do with it.
void Assignment::keep_seat(const Surroundings& around, Guest& guest) {
  std::optional<std::uint32_t> best;
  const std::vector<double>& busy = draft_.busy;
  for (std::uint32_t i = 0; i < busy.size(); ++i) {
    if (sits(around, guest, i) == 0 || !fits(around, guest, i)) continue;
    if (draft_.free[i] < guest.bytes) continue;
    if (!best || busy[i] + guest.work[i] < busy[*best] + guest.work[*best]) best = i;
  }
  if (best) seat(guest, *best);
}

// Where the GPU has the least to do with it, if that is less than `at_most`.
void Assignment::put(const Surroundings& around, Guest& guest, double at_most) {
  double least = at_most;
  std::optional<std::uint32_t> best;
  for (std::uint32_t i = 0; i < draft_.free.size(); ++i) {
    if (guest.work[i] < 0 || draft_.free[i] < guest.bytes) continue;
    if (std::ranges::find(guest.places, i) != guest.places.end()) continue;
    double busy = draft_.busy[i] + guest.work[i] / static_cast<double>(guest.places.size() + 1);
    busy -= 0.05 * sits(around, guest, i);
    if (busy >= least) continue;
    least = busy;
    best = i;
  }
  if (best) seat(guest, *best);
}

// One move, or one change of places, that helps most. Only those of the busiest GPU are asked.
bool Assignment::improve(const Surroundings& around) {
  const std::vector<double>& busy = draft_.busy;
  const auto busiest = static_cast<std::uint32_t>(std::ranges::max_element(busy) - busy.begin());
  // Who can move at all, by place.
  std::vector<std::vector<Guest*>> at(busy.size());
  for (Guest& guest : draft_.guests) {
    if (guest.places.size() == 1) at[guest.places.front()].push_back(&guest);
  }
  double most = 0;
  Guest* mover = nullptr;
  Guest* other = nullptr;
  std::uint32_t target = 0;
  const auto trouble = [&](const Guest& guest, std::uint32_t from, std::uint32_t to) {
    return kTrouble * (sits(around, guest, from) - sits(around, guest, to));
  };
  for (Guest* const guest : at[busiest]) {
    for (std::uint32_t i = 0; i < busy.size(); ++i) {
      if (i == busiest || !fits(around, *guest, i)) continue;
      const double now = queued_at(busy[busiest]) + queued_at(busy[i]);
      const double left = busy[busiest] - guest->work[busiest];
      const double there = busy[i] + guest->work[i];
      const double own = trouble(*guest, busiest, i);
      if (draft_.free[i] >= guest->bytes) {
        const double win = now - queued_at(left) - queued_at(there) - own;
        if (win > most) std::tie(most, mover, other, target) = std::tuple(win, guest, nullptr, i);
      }
      for (Guest* const back : at[i]) {
        if (!fits(around, *back, busiest) || draft_.free[i] + back->bytes < guest->bytes) continue;
        if (draft_.free[busiest] + guest->bytes < back->bytes) continue;
        const double win = now - queued_at(left + back->work[busiest]) -
                           queued_at(there - back->work[i]) - own - trouble(*back, i, busiest);
        if (win > most) std::tie(most, mover, other, target) = std::tuple(win, guest, back, i);
      }
    }
  }
  if (mover == nullptr) return false;
  move(*mover, target);
  if (other != nullptr) move(*other, busiest);
  return true;
}

// Requests under way in the fleet, and the trouble of getting there. Whoever has no place costs as
// much as a GPU on the brink.
double Assignment::cost_of_all(const Surroundings& around) const {
  double cost = 0;
  for (const double busy : draft_.busy) cost += queued_at(busy);
  for (const Guest& guest : draft_.guests) {
    if (guest.places.empty()) {
      cost += queued_at(kBusy);
    } else if (sits(around, guest, guest.places.front()) == 0) {
      cost += kTrouble;
    }
  }
  return cost;
}

void Assignment::better_of_both(const Surroundings& around) {
  if (cost_of_all(around) > cost_anew_) draft_ = std::move(anew_);
}

void Assignment::begin_copies() {
  stage_ = Stage::kCopies;
  round_ = 0;
  next_ = 0;
}

double Assignment::copy_next(const Surroundings& around) {
  std::vector<Guest>& guests = draft_.guests;
  if (next_ == 0) {
    std::ranges::stable_sort(guests, std::greater(), [&](const Guest& guest) {
      const double places = std::max<double>(1, static_cast<double>(guest.places.size()));
      return guest.rate * guest.bytes / places;
    });
  }
  if (next_ < guests.size()) {
    Guest& guest = guests[next_++];
    if (!guest.places.empty()) put(around, guest, kBusy);
    return kLook * static_cast<double>(draft_.free.size());
  }
  next_ = 0;
  if (++round_ < kRounds) return kLook;
  stage_ = Stage::kCompare;
  is_.assign(draft_.free.size(), 0);
  missing_.clear();
  return kLook * static_cast<double>(guests.size());
}

// --- what it would change ---

double Assignment::compare_next(const Surroundings& around) {
  if (next_ == draft_.guests.size()) {
    finish(around);
    stage_ = Stage::kRest;
    return kLook * static_cast<double>(draft_.guests.size() * 10);
  }
  const Guest& guest = draft_.guests[next_++];
  double ready = 0;
  for (std::uint32_t i = 0; i < is_.size(); ++i) ready += sits(around, guest, i);
  for (std::uint32_t i = 0; i < is_.size() && ready > 0; ++i) {
    if (sits(around, guest, i) > 0) is_[i] += std::max(0.0F, guest.work[i]) / ready;
  }
  for (const std::uint32_t place : guest.places) {
    if (ready > 0 && sits(around, guest, place) == 0) {
      missing_.push_back({guest.model, BackendId{place}, 0});
    }
  }
  return kLook * static_cast<double>(is_.size());
}

void Assignment::finish(const Surroundings& around) {
  for (std::vector<std::uint32_t>& each : places_) each.clear();
  places_.resize(around.forecasts.models());
  for (const Guest& guest : draft_.guests) places_[guest.model] = guest.places;
  gain_ = 0;
  for (std::size_t i = 0; i < is_.size(); ++i) {
    gain_ += queued_at(is_[i]) - queued_at(draft_.busy[i]);
  }
  for (Place& place : missing_) {
    for (std::uint32_t i = 0; i < is_.size(); ++i) {
      const bool ready = around.forecasts.seating().ready(BackendId{i}, place.model);
      if (ready) place.relief = std::max(place.relief, is_[i]);
    }
  }
  std::ranges::stable_sort(missing_, std::greater(), &Place::relief);
}

}  // namespace drover::core
