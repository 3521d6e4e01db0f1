// The words for every closed list of core, and the one-line form of an Explanation.

#include <algorithm>
#include <array>
#include <iterator>

#include <fmt/format.h>

#include "base/put.h"
#include "core/events.h"
#include "core/settings.h"

namespace drover::core {
namespace {

std::string_view name_of(const FleetView& names, BackendId backend) {
  if (backend.value >= names.backends.size()) return "?";
  return names.backends[backend.value].name;
}

// With two digits behind the point, as people read seconds; every request has some, and what
// formats a number of any size takes more than all the rest of a line.
void append_seconds(std::string& text, double seconds) {
  constexpr double kMost = 1e9;
  const auto hundredths = static_cast<std::uint64_t>(std::clamp(seconds, 0.0, kMost) * 100 + 0.5);
  std::array<char, kNumberRoom + 5> room{};
  char* at = put_number(room.data(), hundredths / 100);
  at = put(at, '.');
  at = put(at, static_cast<char>('0' + hundredths / 10 % 10));
  at = put(at, static_cast<char>('0' + hundredths % 10));
  text.append(room.data(), at);
  text += " s";
}

void describe(std::string& text, const Candidate& candidate) {
  const fmt::format_int in_flight(candidate.in_flight);
  text.append(in_flight.data(), in_flight.size());
  text += " under way";
  if (candidate.model_loaded) text += ", model loaded";
  if (candidate.cost_s >= 0) {
    text += ", ";
    append_seconds(text, candidate.cost_s);
  }
}

}  // namespace

std::string Explanation::to_string(const FleetView& names) const {
  constexpr std::size_t kUsual = 48;  // for each instance
  std::string text;
  text.reserve(kUsual * (candidates.size() + 1));
  text = policy.empty() ? "not picked" : policy;
  if (last_resort) text += " as a last resort";
  if (chosen) {
    text += " chose ";
    text += name_of(names, *chosen);
  }
  if (waited_as > 0)
    fmt::format_to(std::back_inserter(text), " after waiting as number {}", waited_as);
  if (priority != Priority::kNormal) {
    text += " with priority ";
    text += drover::to_string(priority);
  }
  if (reload) {
    fmt::format_to(std::back_inserter(text), ", which loads the model anew ({}: {} to {} tokens)",
                   core::to_string(reload->cause), reload->from, reload->to);
  }
  for (const Candidate& candidate : candidates) {
    text += "; ";
    text += name_of(names, candidate.backend);
    text += ": ";
    const bool passed_over = candidate.filtered != Filtered::kNot;
    if (passed_over) text += core::to_string(candidate.filtered);
    if (passed_over && chosen == candidate.backend) text += ", ";
    if (!passed_over || chosen == candidate.backend) describe(text, candidate);
  }
  // It is kept as long as the answer takes, perhaps for minutes: so in memory of its exact size.
  return std::string(text.data(), text.size());
}

std::string_view to_string(Filtered reason) {
  switch (reason) {
    case Filtered::kNot:
      return "eligible";
    case Filtered::kUnknown:
      return "not known yet";
    case Filtered::kDown:
      return "down";
    case Filtered::kDraining:
      return "draining";
    case Filtered::kProbation:
      return "in probation with a request";
    case Filtered::kNoModel:
      return "does not have the model";
    case Filtered::kFull:
      return "full";
    case Filtered::kTried:
      return "failed this request";
    case Filtered::kTooLarge:
      return "its GPUs are too small for the model";
    case Filtered::kReserved:
      return "kept for models that fit on no single GPU";
    case Filtered::kNotTheOne:
      return "does not have the account that the model needs";
    case Filtered::kCrowded:
      return "its GPU memory is in use by another instance";
  }
  return "unknown";
}

std::string_view to_string(AttemptResult result) {
  switch (result) {
    case AttemptResult::kServed:
      return "served";
    case AttemptResult::kClientGone:
      return "client_gone";
    case AttemptResult::kBusy:
      return "busy";
    case AttemptResult::kNoModel:
      return "no_model";
    case AttemptResult::kRefused:
      return "refused";
    case AttemptResult::kDied:
      return "died";
    case AttemptResult::kFailed:
      return "failed";
    case AttemptResult::kTimedOut:
      return "timed_out";
    case AttemptResult::kRevoked:
      return "revoked";
    case AttemptResult::kOwnFault:
      return "own_fault";
    case AttemptResult::kTooLate:
      return "too_late";
  }
  return "unknown";
}

std::string_view to_string(Placement placement) {
  switch (placement) {
    case Placement::kUnknown:
      return "unknown";
    case Placement::kPinned:
      return "pinned";
    case Placement::kSpanning:
      return "spanning";
  }
  return "";
}

std::string_view to_string(RestartCause cause) {
  switch (cause) {
    case RestartCause::kOperator:
      return "operator";
    case RestartCause::kHang:
      return "hang";
    case RestartCause::kCpuFallback:
      return "cpu_fallback";
  }
  return "unknown";
}

std::string_view to_string(UnloadReason reason) {
  switch (reason) {
    case UnloadReason::kRoom:
      return "room";
    case UnloadReason::kCpuFallback:
      return "cpu_fallback";
    case UnloadReason::kPlacement:
      return "placement";
  }
  return "unknown";
}

std::string_view to_string(LoadReason reason) {
  switch (reason) {
    case LoadReason::kDemand:
      return "demand";
    case LoadReason::kWanted:
      return "wanted";
    case LoadReason::kCopy:
      return "copy";
  }
  return "unknown";
}

std::string_view to_string(HealthState state) {
  switch (state) {
    case HealthState::kUnknown:
      return "unknown";
    case HealthState::kUp:
      return "up";
    case HealthState::kProbation:
      return "probation";
    case HealthState::kDown:
      return "down";
    case HealthState::kDraining:
      return "draining";
  }
  return "unknown";
}

std::string_view to_string(PolicyName policy) {
  switch (policy) {
    case PolicyName::kRoundRobin:
      return "round_robin";
    case PolicyName::kLeastLoaded:
      return "least_loaded";
    case PolicyName::kExpectedCompletion:
      return "expected_completion";
  }
  return "unknown";
}

}  // namespace drover::core
