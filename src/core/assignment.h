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
//
// With many models and GPUs that takes milliseconds, so it is made in parts, a few with each event;
// until the last one the old assignment holds. What changes meanwhile is seen the next time.

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "core/forecasts.h"
#include "core/instance.h"
#include "core/room.h"
#include "core/settings.h"
#include "core/wait_queue.h"

namespace drover::core {

// What placing goes by.
struct Surroundings {
  std::span<const Instance> instances;
  const Room& room;
  Forecasts& forecasts;
  const WaitQueue& queue;
  Instant now;
  const FairShares& shares;
  std::span<const Stay> stays = {};

  // As far as it is counted: see WaitQueue::Line.
  double waiting(ModelIndex model) const {
    return static_cast<double>(queue.counted(model, shares));
  }
  // Of an instance's memory, for models, in bytes; infinite where it is not known.
  double usable(const Instance& instance) const;
  double need(const Instance& instance, ModelIndex model) const;
  // Models that fit a single GPU are not for the instance that spans them: its memory is theirs.
  bool suits(const Instance& instance, const ModelName& model) const;
  // May be given a model to load at all.
  bool serves(const Instance& instance) const;
};

class Assignment {
 public:
  void begin();  // to make it anew
  // Goes on with that for about 50 us. True: it is done, by this call.
  bool go_on(const Surroundings& around);
  bool under_way() const { return stage_ != Stage::kRest; }
  bool has(ModelIndex model, BackendId backend) const {
    return placed(model) &&
           std::ranges::find(places_[model], backend.value) != places_[model].end();
  }
  // Has a place somewhere.
  bool placed(ModelIndex model) const { return model < places_.size() && !places_[model].empty(); }

  // How much better it is than what is: requests that would be under way less, in the mean.
  double gain() const { return gain_; }
  struct Place {
    ModelIndex model = 0;
    BackendId backend;
    double relief = 0;  // how busy the busiest GPU is that has it
  };
  // Where it differs from what is; those first that relieve the busiest GPU most. Growing while
  // under_way().
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
  // Each returns about how many nanoseconds it took: what go_on() counts, so that the same events
  // always end with the same assignment.
  double step(const Surroundings& around);
  double find_guest(const Surroundings& around);
  double choose(const Surroundings& around);
  double place_next(const Surroundings& around);
  double copy_next(const Surroundings& around);
  double compare_next(const Surroundings& around);

  enum class Start : std::uint8_t { kAnew, kAsItIs };
  void begin_placing(const Surroundings& around, Start start);
  void keep_seat(const Surroundings& around, Guest& guest);
  void better_of_both(const Surroundings& around);
  void begin_copies();
  double cost_of_all(const Surroundings& around) const;
  bool fits(const Surroundings& around, const Guest& guest, std::uint32_t backend) const;
  void put(const Surroundings& around, Guest& guest, double at_most);
  void seat(Guest& guest, std::uint32_t backend);
  void move(Guest& guest, std::uint32_t to);
  bool improve(const Surroundings& around);
  double sits(const Surroundings& around, const Guest& guest, std::uint32_t backend) const;
  void finish(const Surroundings& around);

  std::vector<std::vector<std::uint32_t>> places_;  // by model: BackendIds
  std::vector<Place> missing_;
  double gain_ = 0;

  // While it is made.
  enum class Stage : std::uint8_t {
    kRest,
    kGuests,   // who is in use
    kChoose,   // and worth the memory
    kKeep,     // their seats, the second time
    kPlace,    // the others, once anew and once around those
    kImprove,  // by moves
    kCopies,   // second replicas, three rounds
    kCompare,  // with what is
  };
  struct Draft {
    std::vector<Guest> guests;
    std::vector<double> free;  // by BackendId: bytes
    std::vector<double> busy;  // and the part of the GPU's time
  };
  Stage stage_ = Stage::kRest;
  Start start_ = Start::kAnew;
  std::uint32_t next_ = 0;  // model, guest or move, by stage
  int round_ = 0;
  Draft draft_;
  Draft anew_;  // the first draft, while the second is made
  double cost_anew_ = 0;
  std::vector<double> is_;  // busy as it is, by BackendId
};

}  // namespace drover::core
