#pragma once
// Refusals: what a request is told that no instance can take. One sentence for a user that names
// the instances and why each is no help, a kind that becomes the status, and when to come back.
//
// "Never" and "not now" are kept apart. kNoSuchModel is said only when every instance was asked
// after the request came and none has the model; whenever some instance could not be asked, or has
// the model and cannot take the request, the answer is kUnavailable.

#include <cstdint>
#include <span>

#include "core/events.h"
#include "core/instance.h"
#include "core/settings.h"

namespace drover::core {

struct Situation {
  const RequestArrived& request;
  std::span<const Instance> instances;
  const Settings& settings;
  Instant now;
};

// No known catalogue lists the model, and the wait for fresh ones is over. `needs` is the number of
// the refresh that a catalogue must answer to count as fresh.
Refuse refuse_unlisted(const Situation& situation, Explanation why, std::uint64_t needs);

// Some catalogue lists the model, and no instance may be picked.
Refuse refuse_unserved(const Situation& situation, Explanation why);

// More tries than max_retries allows.
Refuse refuse_retries_spent(const Situation& situation);
// The budget for retries is used up.
Refuse refuse_over_budget(const Situation& situation);
// More requests wait for catalogues than max_waiting allows.
Refuse refuse_waiting_full(const Situation& situation, Explanation why);

// The GPUs of every instance that has the model are too small for it. `need` and `largest` are
// bytes: what it takes, and the most that one instance has.
struct Sizes {
  std::uint64_t need = 0;
  std::uint64_t largest = 0;
};
Refuse refuse_too_large(const Situation& situation, Explanation why, Sizes sizes);
// GPU memory was not made free in time, or too many wait for that already.
enum class NoRoom : std::uint8_t { kWaitOver, kQueueFull };
Refuse refuse_no_room(const Situation& situation, Explanation why, Sizes sizes, NoRoom cause);

// Its own deadline is over before anything was decided.
Refuse refuse_late(const Situation& situation);

// Every slot of the model was taken for too long, or will be, or too many wait already, or one of a
// higher priority has taken its place. `wait`: what a request that came now would wait, as
// predicted.
enum class QueueEnd : std::uint8_t { kFull, kTooLong, kWaitOver, kDisplaced };
Refuse refuse_queued(const Situation& situation, Explanation why, QueueEnd cause, Duration wait);

}  // namespace drover::core
