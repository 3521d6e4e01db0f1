#pragma once
// Assignment: who should sit where, if all could be arranged anew. The placer loads a model where
// it belongs, and sends away first who does not belong there; so every load that has to be done
// anyway brings the fleet nearer to it, and nothing is moved only for its sake.
//
// Of the models in use those that are worth their memory most (requests times reload, for each
// byte) are chosen until the memory is full. Who sits somewhere keeps the place at first; the
// others are placed like furniture in a van, the large ones before the small. Then whoever helps by
// moving to another GPU, or by changing places with somebody there, does so: what counts is how
// many requests would be under way in the whole fleet by the rule of queues, rho / (1 - rho) on
// each GPU, and a move has to be worth its trouble. What memory is left goes to second replicas.

#include <cstdint>
#include <span>
#include <vector>

#include "core/forecasts.h"
#include "core/instance.h"
#include "core/room.h"
#include "core/wait_queue.h"

namespace drover::core {

// What placing goes by.
struct Surroundings {
  std::span<const Instance> instances;
  const Room& room;
  Forecasts& forecasts;
  const WaitQueue& queue;
  Instant now;

  // Of an instance's memory, for models, in bytes; infinite where it is not known.
  double usable(const Instance& instance) const;
  double need(const Instance& instance, ModelIndex model) const;
  // May be given a model to load at all.
  bool serves(const Instance& instance) const;
};

class Assignment {
 public:
  void renew(const Surroundings& around);
  bool has(ModelIndex model, BackendId backend) const {
    return model < places_.size() && !places_[model].empty() && places_[model][backend.value];
  }
  // Has a place somewhere.
  bool placed(ModelIndex model) const { return model < placed_.size() && placed_[model]; }

  // How much better it is than what is: requests that would be under way less, in the mean.
  double gain() const { return gain_; }
  struct Place {
    ModelIndex model = 0;
    BackendId backend;
  };
  // Where it differs from what is; those first that relieve the busiest GPU most.
  const std::vector<Place>& missing() const { return missing_; }

 private:
  struct Guest {
    ModelIndex model = 0;
    double bytes = 0;
    double worth = 0;
    double rate = 0;
    std::vector<float> work;  // by BackendId: part of the GPU's time, for all its requests
    std::vector<std::uint32_t> places;  // BackendIds
  };
  void find_guests(const Surroundings& around);
  enum class Start : std::uint8_t { kAnew, kAsItIs };
  double arrange(const Surroundings& around, Start start);
  void keep_seats(const Surroundings& around);
  bool fits(const Surroundings& around, const Guest& guest, std::uint32_t backend) const;
  void put(const Surroundings& around, Guest& guest, double at_most);
  void seat(Guest& guest, std::uint32_t backend);
  void move(Guest& guest, std::uint32_t to);
  bool improve(const Surroundings& around);
  double sits(const Surroundings& around, const Guest& guest, std::uint32_t backend) const;
  void compare(const Surroundings& around);

  std::vector<std::vector<bool>> places_;  // by model, then by BackendId
  std::vector<bool> placed_;               // by model
  std::vector<Place> missing_;
  double gain_ = 0;

  // While it is made.
  std::vector<Guest> guests_;
  std::vector<double> free_;  // by BackendId: bytes
  std::vector<double> busy_;  // and the part of the GPU's time
};

}  // namespace drover::core
