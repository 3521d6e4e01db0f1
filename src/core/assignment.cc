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
constexpr int kMoves = 20;  // improvements in one renewal

// Requests under way at a server that is busy for this part of its time; beyond nine tenths a
// straight line, because demand is an estimate.
double under_way(double busy) {
  constexpr double kStraight = 0.9;
  if (busy < kStraight) return busy / (1 - busy);
  return 9 + (busy - kStraight) * 100;
}

}  // namespace

double Surroundings::usable(const Instance& instance) const {
  const auto capacity = room.memory().capacity(instance.spec.id);
  return capacity ? kUsable * static_cast<double>(*capacity)
                  : std::numeric_limits<double>::infinity();
}

double Surroundings::need(const Instance& instance, ModelIndex model) const {
  return static_cast<double>(room.need(instance, forecasts.name(model)));
}

bool Surroundings::serves(const Instance& instance) const {
  const HealthState health = instance.health.state();
  return !instance.taken_out() && (health == HealthState::kUp || health == HealthState::kProbation);
}

void Assignment::find_guests(const Surroundings& around) {
  guests_.clear();
  for (ModelIndex model = 0; model < around.forecasts.models(); ++model) {
    Guest guest{.model = model};
    guest.rate = around.forecasts.rate(model, around.now);
    if (guest.rate < kLeastRate && around.queue.size(model) == 0) continue;
    const ModelName& name = around.forecasts.name(model);
    for (const Instance& instance : around.instances) {
      const BackendId id = instance.spec.id;
      const bool able = around.serves(instance) && instance.lists(name);
      if (able && guest.bytes == 0) {
        guest.bytes = std::max(1.0, around.need(instance, model));
        const double load_s = around.forecasts.estimates().load_s({id, model});
        guest.worth = guest.rate * load_s / guest.bytes;
      }
      // Negative: it cannot be there.
      guest.work.push_back(
          able ? static_cast<float>(guest.rate * around.forecasts.work_s(id, model)) : -1.0F);
    }
    if (guest.bytes > 0) guests_.push_back(std::move(guest));
  }
}

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
    busy_[place] -= guest.work[place] / before / (before + 1);
  }
  guest.places.push_back(backend);
  busy_[backend] += guest.work[backend] / (before + 1);
  free_[backend] -= guest.bytes;
}

// Of its only place.
void Assignment::move(Guest& guest, std::uint32_t to) {
  const std::uint32_t from = guest.places.front();
  busy_[from] -= guest.work[from];
  free_[from] += guest.bytes;
  guest.places.clear();
  seat(guest, to);
}

// Of several seats the one on the GPU that has the least to do with it.
void Assignment::keep_seats(const Surroundings& around) {
  for (Guest& guest : guests_) {
    std::optional<std::uint32_t> best;
    for (std::uint32_t i = 0; i < free_.size(); ++i) {
      if (sits(around, guest, i) == 0 || !fits(around, guest, i)) continue;
      if (free_[i] < guest.bytes) continue;
      const bool better = !best || busy_[i] + guest.work[i] < busy_[*best] + guest.work[*best];
      if (better) best = i;
    }
    if (best) seat(guest, *best);
  }
}

// Where the GPU has the least to do with it, if that is less than `at_most`.
void Assignment::put(const Surroundings& around, Guest& guest, double at_most) {
  double least = at_most;
  std::optional<std::uint32_t> best;
  for (std::uint32_t i = 0; i < free_.size(); ++i) {
    const bool there = std::ranges::find(guest.places, i) != guest.places.end();
    if (there || guest.work[i] < 0 || free_[i] < guest.bytes) continue;
    double busy = busy_[i] + guest.work[i] / static_cast<double>(guest.places.size() + 1);
    busy -= 0.05 * sits(around, guest, i);
    if (busy >= least) continue;
    least = busy;
    best = i;
  }
  if (best) seat(guest, *best);
}

// One move, or one change of places, that helps most. Only those of the busiest GPU are asked.
bool Assignment::improve(const Surroundings& around) {
  const auto busiest = static_cast<std::uint32_t>(std::ranges::max_element(busy_) - busy_.begin());
  double most = 0;
  Guest* mover = nullptr;
  Guest* other = nullptr;
  std::uint32_t target = 0;
  const auto trouble = [&](const Guest& guest, std::uint32_t from, std::uint32_t to) {
    return kTrouble * (sits(around, guest, from) - sits(around, guest, to));
  };
  for (Guest& guest : guests_) {
    if (guest.places.size() != 1 || guest.places.front() != busiest) continue;
    for (std::uint32_t i = 0; i < free_.size(); ++i) {
      if (i == busiest || !fits(around, guest, i)) continue;
      const double now = under_way(busy_[busiest]) + under_way(busy_[i]);
      const double left = busy_[busiest] - guest.work[busiest];
      const double there = busy_[i] + guest.work[i];
      if (free_[i] >= guest.bytes) {
        const double win = now - under_way(left) - under_way(there) - trouble(guest, busiest, i);
        if (win > most) std::tie(most, mover, other, target) = std::tuple(win, &guest, nullptr, i);
      }
      for (Guest& back : guests_) {
        if (back.places.size() != 1 || back.places.front() != i) continue;
        if (!fits(around, back, busiest) || free_[i] + back.bytes < guest.bytes) continue;
        if (free_[busiest] + guest.bytes < back.bytes) continue;
        const double win = now - under_way(left + back.work[busiest]) -
                           under_way(there - back.work[i]) - trouble(guest, busiest, i) -
                           trouble(back, i, busiest);
        if (win > most) std::tie(most, mover, other, target) = std::tuple(win, &guest, &back, i);
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
double Assignment::arrange(const Surroundings& around, Start start) {
  free_.clear();
  for (const Instance& instance : around.instances) {
    free_.push_back(around.serves(instance) ? around.usable(instance) : 0);
  }
  busy_.assign(free_.size(), 0);
  for (Guest& guest : guests_) guest.places.clear();
  if (start == Start::kAsItIs) keep_seats(around);
  for (Guest& guest : guests_) {
    if (guest.places.empty()) put(around, guest, std::numeric_limits<double>::infinity());
  }
  for (int i = 0; i < kMoves && improve(around); ++i) {
  }
  double cost = 0;
  for (const double busy : busy_) cost += under_way(busy);
  for (const Guest& guest : guests_) {
    if (guest.places.empty()) {
      cost += under_way(kBusy);
    } else if (sits(around, guest, guest.places.front()) == 0) {
      cost += kTrouble;
    }
  }
  return cost;
}

void Assignment::renew(const Surroundings& around) {
  double memory = 0;
  for (const Instance& instance : around.instances) {
    memory += around.serves(instance) ? around.usable(instance) : 0;
  }
  find_guests(around);
  std::ranges::stable_sort(guests_, std::greater(), &Guest::worth);
  std::size_t chosen = 0;
  while (chosen < guests_.size() && memory >= guests_[chosen].bytes) {
    memory -= guests_[chosen++].bytes;
  }
  const std::span<Guest> first(guests_.data(), chosen);
  std::ranges::stable_sort(first, std::greater(), &Guest::bytes);
  const double anew = arrange(around, Start::kAnew);
  const auto guests = guests_;
  const auto free = free_;
  const auto busy = busy_;
  if (arrange(around, Start::kAsItIs) > anew) {
    guests_ = guests;
    free_ = free;
    busy_ = busy;
  }
  for (int round = 0; round < kRounds; ++round) {
    std::ranges::stable_sort(guests_, std::greater(), [&](const Guest& guest) {
      const double places = std::max<double>(1, static_cast<double>(guest.places.size()));
      return guest.rate * guest.bytes / places;
    });
    for (Guest& guest : guests_) {
      if (!guest.places.empty()) put(around, guest, kBusy);
    }
  }
  compare(around);
}

void Assignment::compare(const Surroundings& around) {
  places_.assign(around.forecasts.models(), {});
  placed_.assign(around.forecasts.models(), false);
  missing_.clear();
  std::vector<double> is(free_.size(), 0);
  for (const Guest& guest : guests_) {
    places_[guest.model].resize(free_.size());
    double ready = 0;
    for (std::uint32_t i = 0; i < free_.size(); ++i) ready += sits(around, guest, i);
    for (std::uint32_t i = 0; i < free_.size(); ++i) {
      if (sits(around, guest, i) > 0) is[i] += std::max(0.0F, guest.work[i]) / ready;
    }
    for (const std::uint32_t place : guest.places) {
      places_[guest.model][place] = placed_[guest.model] = true;
      if (sits(around, guest, place) == 0 && ready > 0) {
        missing_.push_back({guest.model, BackendId{place}});
      }
    }
  }
  gain_ = 0;
  for (std::size_t i = 0; i < is.size(); ++i) gain_ += under_way(is[i]) - under_way(busy_[i]);
  const auto relief = [&](const Place& place) {
    double most = 0;
    for (std::uint32_t i = 0; i < is.size(); ++i) {
      if (around.forecasts.seating().ready(BackendId{i}, place.model)) most = std::max(most, is[i]);
    }
    return most;
  };
  std::ranges::stable_sort(missing_, std::greater(), relief);
}

}  // namespace drover::core
