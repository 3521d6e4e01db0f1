#pragma once
// Times as instances write them ("2025-05-04T17:37:44.706015396-07:00"), made comparable.

#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>

namespace drover::wire {

// Seconds since 1970 and what is left. Go's zero time lies in the year 1, so nanoseconds alone
// would not fit into 64 bits.
struct CivilMoment {
  std::int64_t seconds = 0;
  std::int32_t nanos = 0;
  friend auto operator<=>(const CivilMoment&, const CivilMoment&) = default;
};

// Nothing for what is not a date with time and offset. Digits behind the ninth of a fraction are
// dropped.
std::optional<CivilMoment> parse_rfc3339(std::string_view text);

}  // namespace drover::wire
