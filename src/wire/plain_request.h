#pragma once
// The short way through a request body, for those that lie in memory whole and are written as
// clients write them: RequestInspector tries it first.

#include <cstdint>
#include <optional>
#include <string_view>

#include "wire/json_scan.h"

namespace drover::wire {

// What RequestInspector would say of the body; none where something about it is rare, or wrong.
std::optional<RequestFacts> read_plain_request(std::string_view body, const JsonLimits& limits,
                                               std::optional<std::uint64_t> salt = {});

}  // namespace drover::wire
