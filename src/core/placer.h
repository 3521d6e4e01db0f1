#pragma once
// Placer: which model is to be loaded where, and who makes room for it.
//
// Picture a theatre with few stages and many plays. When people wait for a play that is nowhere on,
// it gets the stage where it is soonest on and where the fewest miss what was on before. When the
// queue for a play that is on is so long that a second stage would be ready before it is served,
// it gets one. And where a stage stands empty beside a crowded one, a second run costs nobody
// anything.
//
//   demand  somebody waits and nobody has the model: at once, at the cheapest place; and once more
//           elsewhere when that load stands still. Who has more than an equal part already sends
//           nobody away whom others use, until somebody has waited for half of its patience
//   copy    those who have it are so busy that a load pays: for those who wait already, or, where
//           memory is free, for those who will come within the next 20 s
//
// Costs and gains are seconds of somebody's delay, as in forecasts.h. What an eviction costs is
// what the evicted model's next users wait longer; a copy among several costs little, and who has
// just been loaded is left alone for a while, so that a swap is worth its load.
//
// A plan is carried out by Seating. One for each instance at a time.

#include <cstdint>
#include <span>
#include <vector>

#include "core/assignment.h"

namespace drover::core {

class Placer {
 public:
  // For those who wait. Looks at a few models in each call, at each again after a while.
  void consider_waiting(const Surroundings& around);
  // A request was given to an instance that was busy already.
  void consider_copy(const Surroundings& around, ModelIndex model, BackendId busy,
                     std::uint64_t prompt_bytes);
  // Because it is configured so: makes room by what is a copy or not in use, and else waits for it.
  void consider_wanted(const Surroundings& around, ModelIndex model, BackendId backend);
  // When consider_waiting() has something to do without another event.
  Instant next_due(const WaitQueue& queue) const;
  void forget(ModelIndex model);
  // A plan has ended: those that had no place may have one.
  void place_became_free();

 private:
  struct Move {
    bool possible = false;
    double delay_s = 0;  // until it could begin
    double loss_s = 0;   // of those who use what has to leave, and of the GPU's others
    std::vector<ModelIndex> leaving;
  };
  enum class Evict : std::uint8_t {
    kNobody,
    kSpare,   // copies, and who is not in use
    kStrays,  // and who does not belong there
    kAnybody,
  };
  Move move_to(const Surroundings& around, ModelIndex model, const Instance& instance,
               Evict evict) const;
  enum class Stays : std::uint8_t { kNo, kRather, kAlways };
  static Stays stays(const Surroundings& around, const Instance& instance, ModelIndex model);
  bool make_room(const Surroundings& around, const Instance& instance, std::uint64_t need,
                 Evict evict, Move& move) const;
  double loss_s(const Surroundings& around, ModelIndex model, BackendId backend) const;
  void consider(const Surroundings& around, ModelIndex model);
  static bool stands_still(const Surroundings& around, ModelIndex model);
  static bool is_of_use(const Surroundings& around, ModelIndex model,
                        const WaitQueue::Waiting& waiting);
  void begin(const Surroundings& around, ModelIndex model, BackendId backend, LoadReason reason,
             Move move);
  bool is_due(ModelIndex model, Instant now, Duration pause);

  void renew(const Surroundings& around);
  void rearrange(const Surroundings& around);

  Assignment assignment_;
  Instant renewed_ = Instant::min();
  Instant rearranged_ = Instant::min();
  std::vector<Instant> looked_;  // by model
  Instant due_ = kNever;
};

}  // namespace drover::core
