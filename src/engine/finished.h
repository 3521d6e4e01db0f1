#pragma once
// The latest requests that are over, by X-Request-ID, for whoever asks "why did it go there?" when
// the answer is in already. Picture the counterfoils of the cloakroom's tags in a box: a new one
// goes in, the oldest falls out, and what fell out is still in the log.
//
// Owned by the home loop, as Metrics is, and filled by the very message that counts a request:
// ports post it, the admin listener reads here. So there is no lock, and no second message.
// Rejected: a ring for each loop, which the admin side would have to ask for one after the other;
// and keeping the strings themselves, which pin the heap between what streams leave behind (a fifth
// more memory for each of a thousand streams).

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/metrics.h"

namespace drover::engine {

class FinishedRequests {
 public:
  // Half a minute of a very busy house and days of a quiet one, in half a megabyte that is taken
  // once; twice as many would leave the cache of the loop that writes one for each request.
  static constexpr std::size_t kMost = 1024;
  static constexpr std::size_t kTextBytes = 256 * 1024;  // of all texts; of a usual one 150
  // Longer texts are cut and end in "…": the decision of a fleet of eighty fits.
  static constexpr std::size_t kLongestText = 4096;

  FinishedRequests() : ring_(kMost), texts_(kTextBytes) {}

  // Allocates nothing. What drover answered well by itself is not kept: nothing was decided, and a
  // page that polls /api/ps would push out what somebody will ask for.
  void keep(const RequestRecord& record);

  // The newest with this id, since clients may give the same one twice; nothing: none is kept.
  std::optional<RequestRecord> find(std::string_view id) const;

  std::size_t size() const { return size_; }

 private:
  static constexpr std::size_t kTexts = 6;
  struct Kept : RequestTally {
    Instant arrived{};
    Duration total{};
    std::uint64_t begin = 0;  // of its texts, in all that were ever written
    std::array<std::uint16_t, kTexts> sizes{};
  };
  void put(std::string_view text, std::uint16_t& size);
  std::string_view text(std::uint64_t begin, std::size_t size) const;

  std::vector<Kept> ring_;  // of kMost slots
  std::size_t oldest_ = 0;
  std::size_t size_ = 0;
  std::vector<char> texts_;    // a ring: those of one request lie in one piece
  std::uint64_t written_ = 0;  // bytes, ever
};

}  // namespace drover::engine
