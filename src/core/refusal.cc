#include "core/refusal.h"

#include <algorithm>

#include <fmt/format.h>

namespace drover::core {
namespace {

// Longer lists help nobody and would make an error body grow with the fleet.
constexpr std::size_t kMaxNamed = 4;

// Retry-After is whole seconds, and zero would invite a storm.
Duration whole_seconds(Duration wait) {
  return std::max(std::chrono::ceil<std::chrono::seconds>(wait), std::chrono::seconds(1));
}

Refuse no_such_model(const Situation& situation, Explanation why) {
  Error error{ErrorKind::kNoSuchModel, Origin::kClient, Retry::kNever,
              fmt::format("model '{}' not found", situation.request.ask.model_as_sent)};
  return {situation.request.request, std::move(error), std::nullopt, std::move(why)};
}

Refuse upstream(const Situation& situation, std::string message, Explanation why) {
  Error error{ErrorKind::kUpstream, Origin::kInstance, Retry::kNever, std::move(message)};
  return {situation.request.request, std::move(error), std::nullopt, std::move(why)};
}

Refuse unavailable(const Situation& situation, std::string message, Instant again,
                   Explanation why) {
  const Duration wait = whole_seconds(again - situation.now);
  message += fmt::format("; try again in {} s",
                         std::chrono::duration_cast<std::chrono::seconds>(wait).count());
  Error error{ErrorKind::kUnavailable, Origin::kSelf, Retry::kSafe, std::move(message)};
  return {situation.request.request, std::move(error), wait, std::move(why)};
}

std::string gib(std::uint64_t bytes) {
  return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / static_cast<double>(1ULL << 30));
}

std::string trouble(const Instance& instance, Filtered reason) {
  const std::string& name = instance.spec.name;
  switch (reason) {
    case Filtered::kUnknown:
      if (instance.health.state() == HealthState::kUp) {
        return fmt::format("{} has not listed its models yet", name);
      }
      if (instance.health.state() == HealthState::kUnknown) {
        return fmt::format("{} has not answered yet", name);
      }
      return fmt::format("{} is down ({})", name, instance.health.reason());
    case Filtered::kDown:
      return fmt::format("{} is down ({})", name, instance.health.reason());
    case Filtered::kDraining:
      if (instance.restart.under_way()) {
        return fmt::format("{} is being restarted ({})", name, instance.restart.reason());
      }
      return fmt::format("{} is drained by an operator", name);
    case Filtered::kProbation:
      return fmt::format("{} is being tried out again", name);
    case Filtered::kNotTheOne:
      return fmt::format("{} does not have the account that it needs", name);
    case Filtered::kFull:
      return fmt::format("{} has {} requests under way", name, instance.in_flight);
    case Filtered::kTried:
      return fmt::format("{} failed this request", name);
    case Filtered::kNoModel:
      return fmt::format("{} could not be asked", name);
    case Filtered::kTooLarge:
      return fmt::format("the GPUs of {} are too small for it", name);
    case Filtered::kReserved:
      return fmt::format("{} is kept for models that fit on no single GPU", name);
    case Filtered::kCrowded:
      return fmt::format("GPU memory of {} is in use by another instance", name);
    case Filtered::kNot:
      break;
  }
  return fmt::format("{} is free", name);
}

// "gpu0 is down (connection refused), gpu1 is drained by an operator"
template <class Wanted>
std::string troubles(const Situation& situation, const Explanation& why, Wanted wanted) {
  std::string text;
  std::size_t named = 0;
  std::size_t left_out = 0;
  for (const Candidate& candidate : why.candidates) {
    const Instance& instance = situation.instances[candidate.backend.value];
    if (!wanted(instance, candidate)) continue;
    if (named == kMaxNamed) {
      ++left_out;
      continue;
    }
    if (named++ > 0) text += ", ";
    text += trouble(instance, candidate.filtered);
  }
  if (left_out > 0) text += fmt::format(" and {} more", left_out);
  return text;
}

bool holds(const Candidate& candidate) {
  return candidate.filtered != Filtered::kUnknown && candidate.filtered != Filtered::kNoModel;
}

// The earliest instant at which one of the wanted instances may take a request.
template <class Wanted>
Instant next_chance(const Situation& situation, const Explanation& why, Wanted wanted) {
  Instant earliest = kNever;
  for (const Candidate& candidate : why.candidates) {
    const Instance& instance = situation.instances[candidate.backend.value];
    if (!wanted(instance, candidate)) continue;
    earliest = std::min(earliest, instance.health.may_serve_at(situation.now));
  }
  return earliest == kNever ? situation.now : earliest;
}

// A retry that has tried every instance which has the model.
Refuse nothing_left(const Situation& situation, Explanation why) {
  const RequestArrived& request = situation.request;
  if (request.cause == RetryCause::kBusy) {
    return unavailable(
        situation,
        fmt::format("every instance that has model '{}' is busy", request.ask.model_as_sent),
        situation.now, std::move(why));
  }
  // Somebody who has not said yet what it has may be the one: a client must not be told to give up.
  // Who is down is not waited for, or one dead entry of the configuration would turn every 502 into
  // an invitation.
  const auto may_have_it = [](const Instance& instance, const Candidate& candidate) {
    return candidate.filtered == Filtered::kUnknown &&
           instance.health.state() != HealthState::kDown;
  };
  const std::string unheard = troubles(situation, why, may_have_it);
  if (!unheard.empty()) {
    const Instant again = next_chance(situation, why, may_have_it);
    return unavailable(situation,
                       fmt::format("every instance known to have model '{}' failed, and {}",
                                   request.ask.model_as_sent, unheard),
                       again, std::move(why));
  }
  return upstream(situation, "no other instance can serve it", std::move(why));
}

}  // namespace

Refuse refuse_unlisted(const Situation& situation, Explanation why, std::uint64_t needs) {
  if (situation.instances.empty()) {
    return unavailable(situation, "no Ollama instance is configured", situation.now,
                       std::move(why));
  }
  const auto not_fresh = [needs](const Instance& instance, const Candidate&) {
    return !instance.catalogue || instance.catalogue_refresh < needs;
  };
  const std::string list = troubles(situation, why, not_fresh);
  if (list.empty()) return no_such_model(situation, std::move(why));
  const Instant again = next_chance(situation, why, not_fresh);
  return unavailable(situation,
                     fmt::format("model '{}' is not on any instance that could be asked, and {}",
                                 situation.request.ask.model_as_sent, list),
                     again, std::move(why));
}

Refuse refuse_unserved(const Situation& situation, Explanation why) {
  const auto untried = [](const Candidate& candidate) {
    return holds(candidate) && candidate.filtered != Filtered::kTried;
  };
  if (std::ranges::none_of(why.candidates, untried)) {
    return nothing_left(situation, std::move(why));
  }
  const std::string& model = situation.request.ask.model_as_sent;
  const bool any_full = std::ranges::any_of(why.candidates, [](const Candidate& candidate) {
    return candidate.filtered == Filtered::kFull;
  });
  const auto holder = [](const Instance&, const Candidate& candidate) { return holds(candidate); };
  const std::string list = troubles(situation, why, holder);
  const Instant again = any_full ? situation.now : next_chance(situation, why, holder);
  const std::string_view what = any_full ? "queue full for" : "no instance can take";
  return unavailable(situation, fmt::format("{} model '{}': {}", what, model, list), again,
                     std::move(why));
}

Refuse refuse_retries_spent(const Situation& situation) {
  return upstream(situation,
                  fmt::format("the request was tried {} times", situation.request.attempt), {});
}

Refuse refuse_over_budget(const Situation& situation) {
  if (situation.request.cause == RetryCause::kBusy) {
    return unavailable(situation, "instances are busy and too many retries are under way",
                       situation.now, {});
  }
  return upstream(situation, "too many retries are under way for another one", {});
}

Refuse refuse_waiting_full(const Situation& situation, Explanation why) {
  return unavailable(
      situation,
      fmt::format("model '{}' is not known, and {} requests wait already for the "
                  "instances to list their models",
                  situation.request.ask.model_as_sent, situation.settings.max_waiting),
      situation.now, std::move(why));
}

// Said once and for good, or until the fleet changes: 503 without a time to come back.
Refuse refuse_too_large(const Situation& situation, Explanation why, Sizes sizes) {
  Error error{
      ErrorKind::kTooBig, Origin::kSelf, Retry::kNever,
      fmt::format("model '{}' needs about {} of GPU memory, and the most that an instance "
                  "has is {}: use a smaller quantisation of it, or add a machine with "
                  "larger GPUs",
                  situation.request.ask.model_as_sent, gib(sizes.need), gib(sizes.largest))};
  return {situation.request.request, std::move(error), std::nullopt, std::move(why)};
}

Refuse refuse_no_room(const Situation& situation, Explanation why, Sizes sizes, NoRoom cause) {
  const Settings& settings = situation.settings;
  const auto crowded = [](const Instance&, const Candidate& candidate) {
    return candidate.filtered == Filtered::kCrowded;
  };
  const auto wait = std::chrono::duration_cast<std::chrono::seconds>(settings.room_wait).count();
  std::string what = fmt::format("it was not made free within {} s", wait);
  if (cause == NoRoom::kQueueFull) {
    what = fmt::format("{} requests wait for that already", settings.max_waiting);
  } else if (situation.request.ask.deadline <= situation.now) {
    what = "it was not made free before its deadline (X-Drover-Deadline)";
  }
  std::string message = fmt::format("model '{}' needs about {} of GPU memory: {}, and {}",
                                    situation.request.ask.model_as_sent, gib(sizes.need),
                                    troubles(situation, why, crowded), what);
  // What runs there takes as long as it takes; half a minute is a short answer and a long poll.
  constexpr Duration kLater = std::chrono::seconds(30);
  return unavailable(situation, std::move(message), situation.now + kLater, std::move(why));
}

Refuse refuse_late(const Situation& situation) {
  return unavailable(situation,
                     fmt::format("the deadline of this request (X-Drover-Deadline) passed before "
                                 "an instance was asked for model '{}'",
                                 situation.request.ask.model_as_sent),
                     situation.now, {});
}

Refuse refuse_queued(const Situation& situation, Explanation why, QueueEnd cause, Duration wait) {
  using std::chrono::seconds;
  const Ask& ask = situation.request.ask;
  const Settings& settings = situation.settings;
  const auto longest = std::chrono::duration_cast<seconds>(settings.queue_wait).count();
  const bool own_deadline = ask.deadline <= situation.now + settings.queue_wait;
  std::string what;
  switch (cause) {
    case QueueEnd::kFull:
      what = fmt::format("too many requests wait already ({} at most, of {} MB)",
                         settings.max_queued, settings.max_queued_bytes >> 20);
      break;
    case QueueEnd::kDisplaced:
      what = fmt::format("too many requests wait, and one of a higher priority than '{}' came",
                         to_string(ask.priority));
      break;
    case QueueEnd::kWaitOver:
      what = ask.deadline <= situation.now
                 ? "no slot was free before its deadline (X-Drover-Deadline)"
                 : fmt::format("no slot was free within {} s", longest);
      break;
    case QueueEnd::kTooLong: {
      const auto expected = std::chrono::ceil<seconds>(wait).count();
      const Duration left = std::max(ask.deadline - situation.now, Duration::zero());
      what = own_deadline ? fmt::format(
                                "it would wait about {} s, and its deadline is in {:.1f} s "
                                "(X-Drover-Deadline)",
                                expected, to_seconds(left))
                          : fmt::format(
                                "it would wait about {} s, and the longest wait is {} s "
                                "(queue.wait)",
                                expected, longest);
      // When those who are let in meanwhile still find a place.
      wait -= std::min(wait, own_deadline ? left : settings.queue_wait);
      break;
    }
  }
  // Whoever is told an hour tries elsewhere; five minutes are enough to keep a storm away.
  constexpr Duration kLongest = std::chrono::minutes(5);
  return unavailable(situation,
                     fmt::format("queue full for model '{}': {}", ask.model_as_sent, what),
                     situation.now + std::min(wait, kLongest), std::move(why));
}

}  // namespace drover::core
