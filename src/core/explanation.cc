// The words for every closed list of core, and the one-line form of an Explanation.

#include <algorithm>
#include <array>
#include <memory>
#include <span>

#include "base/put.h"
#include "core/events.h"
#include "core/settings.h"

namespace drover::core {
namespace {

std::string_view name_of(const FleetView& names, BackendId backend) {
  if (backend.value >= names.backends.size()) return "?";
  return names.backends[backend.value].name;
}

// A line written into memory that should have room for it, see bound_of(); else its end is lacking.
class WhyLine {
 public:
  explicit WhyLine(std::span<char> room) : end_(room.data()), last_(room.data() + room.size()) {}

  WhyLine& operator<<(std::string_view text) {
    end_ = put(end_, text.substr(0, room()));
    return *this;
  }
  WhyLine& operator<<(std::uint64_t number) {
    if (room() >= kNumberRoom) end_ = put_number(end_, number);
    return *this;
  }
  // With two digits behind the point, as people read them; every request has some, and what
  // formats a number of any size takes more than all the rest of a line.
  void put_seconds(double seconds) {
    constexpr double kMost = 1e9;
    const auto hundredths = static_cast<std::uint64_t>(std::clamp(seconds, 0.0, kMost) * 100 + 0.5);
    const char digits[] = {'.', static_cast<char>('0' + hundredths / 10 % 10),
                           static_cast<char>('0' + hundredths % 10)};
    *this << hundredths / 100 << std::string_view(digits, sizeof(digits)) << " s";
  }
  char* end() const { return end_; }

 private:
  std::size_t room() const { return static_cast<std::size_t>(last_ - end_); }
  char* end_;
  char* last_;
};

void describe(WhyLine& line, const Candidate& candidate) {
  line << candidate.in_flight << " under way";
  if (candidate.model_loaded) line << ", model loaded";
  if (candidate.cost_s >= 0) {
    line << ", ";
    line.put_seconds(candidate.cost_s);
  }
}

// The most bytes that the line takes: words, names, and numbers, the last of which needs its room.
std::size_t bound_of(const Explanation& why, const FleetView& names) {
  constexpr std::size_t kWords = 100 + 2 * kNumberRoom;  // of a candidate
  constexpr std::size_t kBegin = 200 + 3 * kNumberRoom;  // before the first
  std::size_t bytes = kBegin + why.policy.size();
  if (why.chosen) bytes += name_of(names, *why.chosen).size();
  for (const Candidate& candidate : why.candidates) {
    bytes += kWords + name_of(names, candidate.backend).size();
  }
  return bytes;
}

void put_words(WhyLine& line, const Explanation& why, const FleetView& names) {
  line << (why.policy.empty() ? "not picked" : why.policy);
  if (why.last_resort) line << " as a last resort";
  if (why.chosen) line << " chose " << name_of(names, *why.chosen);
  if (why.waited_as > 0) line << " after waiting as number " << why.waited_as;
  if (why.priority != Priority::kNormal) line << " with priority " << to_string(why.priority);
  if (why.reload) {
    line << ", which loads the model anew (" << to_string(why.reload->cause) << ": "
         << why.reload->from << " to " << why.reload->to << " tokens)";
  }
  for (const Candidate& candidate : why.candidates) {
    line << "; " << name_of(names, candidate.backend) << ": ";
    const bool passed_over = candidate.filtered != Filtered::kNot;
    const bool chosen = why.chosen == candidate.backend;
    if (passed_over) line << to_string(candidate.filtered);
    if (passed_over && chosen) line << ", ";
    if (!passed_over || chosen) describe(line, candidate);
  }
}

}  // namespace

std::string Explanation::to_string(const FleetView& names) const {
  const std::size_t bound = bound_of(*this, names);
  std::array<char, 2048> usual;  // not initialised: of a dozen instances
  std::unique_ptr<char[]> more;
  if (bound > usual.size()) more = std::make_unique_for_overwrite<char[]>(bound);
  char* const begin = more ? more.get() : usual.data();
  WhyLine line({begin, std::max(bound, usual.size())});
  put_words(line, *this, names);
  // It is kept as long as the answer takes, perhaps for minutes: so in memory of its exact size.
  return std::string(begin, line.end());
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
