// The scheduler's care for GPU memory: requests that wait until instances have made room. The rules
// are in room.h; here they meet the ledger of leases.

#include <algorithm>

#include "core/scheduler_state.h"

namespace drover::core {

void Scheduler::State::wait_for_room(const RequestArrived& request, Attempt attempt, Pick pick,
                                     Instant slot_until) {
  if (room.size() >= settings.max_waiting) {
    const Sizes bytes = sizes(request, pick.why);
    return refuse(
        refuse_no_room(situation(request), std::move(pick.why), bytes, NoRoom::kQueueFull),
        attempt);
  }
  const Instant until = std::min(now + settings.room_wait, std::max(request.ask.deadline, now));
  room.wait({request, attempt, until, slot_until});
  room_changed = true;
}

// Somebody has the model and nobody can take the request, now or ever.
Refuse Scheduler::State::refuse_listed(const RequestArrived& request, Explanation why) {
  const auto holds = [](const Candidate& candidate) {
    return candidate.filtered != Filtered::kUnknown && candidate.filtered != Filtered::kNoModel;
  };
  const auto small = [&](const Candidate& candidate) {
    return !holds(candidate) || candidate.filtered == Filtered::kTooLarge;
  };
  if (!std::ranges::all_of(why.candidates, small)) {
    return refuse_unserved(situation(request), std::move(why));
  }
  const Sizes bytes = sizes(request, why);
  return refuse_too_large(situation(request), std::move(why), bytes);
}

Sizes Scheduler::State::sizes(const RequestArrived& request, const Explanation& why) const {
  Sizes bytes;
  for (const Candidate& candidate : why.candidates) {
    const Instance& instance = instances[candidate.backend.value];
    if (!instance.lists(request.ask.model)) continue;
    const std::uint64_t need = room.need(instance, request.ask.model);
    bytes.need = bytes.need == 0 ? need : std::min(bytes.need, need);
    const std::uint64_t has = room.memory().capacity(instance.spec.id).value_or(0);
    bytes.largest = std::max(bytes.largest, has);
  }
  return bytes;
}

// Everybody who waits is decided anew, oldest first. The first who still has to wait gets the
// claim, and from then on the claim is in the way of those behind it.
void Scheduler::State::reconsider_waiting() {
  if (!room_changed) return;
  room_changed = false;
  // Memory of shared devices is in the way of those who wait for a slot, too.
  if (brain && room.memory().any_shared()) brain->all_changed = true;
  for (Room::Waiting& waiting : room.take_all()) {
    const Prices prices = prices_for(waiting.request);
    Pick pick = picker.pick(instances, waiting.request, room, now, prices);
    if (pick.backend) {
      grant(waiting.request, waiting.attempt, std::move(pick));
    } else if (pick.waits) {
      wait_for_slot(waiting.request, waiting.attempt, std::move(pick), prices.model,
                    waiting.slot_until);
    } else if (!pick.crowded()) {
      refuse(refuse_listed(waiting.request, std::move(pick.why)), waiting.attempt);
    } else if (waiting.until <= now) {
      const Sizes bytes = sizes(waiting.request, pick.why);
      refuse(
          refuse_no_room(situation(waiting.request), std::move(pick.why), bytes, NoRoom::kWaitOver),
          waiting.attempt);
    } else {
      if (!room.claimed()) room.claim(pick.why.candidates);
      room.wait(std::move(waiting));
    }
  }
  for (auto& [backend, model] : room.to_unload(instances, now)) {
    out->push_back(Unload{backend, std::move(model), UnloadReason::kRoom});
  }
}

}  // namespace drover::core
