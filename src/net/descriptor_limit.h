#pragma once
// How many descriptors this process may have open. Every client takes one and, while it is served,
// one more towards its instance and one more for a body that waits in a file; the usual soft limit
// of 1024 is spent by some hundreds of clients, and then nothing at all can be asked any more.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace drover::net {

// Raises the soft limit to the hard one, and returns what may be open from now on; kUnlimited
// where nothing bounds it. Once, before the first listener. Children inherit the limit.
std::uint64_t raise_descriptor_limit();
inline constexpr std::uint64_t kUnlimited = UINT64_MAX;

// A sentence with the remedy when `available` descriptors cannot carry `connections` clients (of
// all loops together) at work.
std::optional<std::string> descriptor_warning(std::uint64_t available, std::uint64_t connections);

}  // namespace drover::net
