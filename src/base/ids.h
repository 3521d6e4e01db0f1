#pragma once
// Strong identities. Two ids of different kinds never compare or convert.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace drover {

template <class Tag, class Rep>
struct Id {
  Rep value{};
  friend constexpr auto operator<=>(const Id&, const Id&) = default;
};

// Index of an instance in the configured order; stable until the next reload.
using BackendId = Id<struct BackendTag, std::uint32_t>;

// One client request in this process. Never reused; shown to people as 15 hex digits.
using RequestId = Id<struct RequestTag, std::uint64_t>;

// Who a request is counted for: a hash of what names them. Zero: nobody was named.
using TenantId = Id<struct TenantTag, std::uint64_t>;

// One grant of one request to one instance.
using LeaseId = Id<struct LeaseTag, std::uint64_t>;

}  // namespace drover

template <class Tag, class Rep>
struct std::hash<drover::Id<Tag, Rep>> {
  std::size_t operator()(drover::Id<Tag, Rep> id) const noexcept {
    return std::hash<Rep>{}(id.value);
  }
};
