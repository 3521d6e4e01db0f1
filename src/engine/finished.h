#pragma once
// The latest requests that are over, by X-Request-ID, for whoever asks "why did it go there?" when
// the answer is in already. Picture the counterfoils of the cloakroom's tags in a box: a new one
// goes in, the oldest falls out, and what fell out is still in the log.
//
// Owned by the home loop, as Metrics is, and filled by the very message that counts a request:
// ports post it, the admin listener reads here. So there is no lock, and no second message.
// Rejected: a ring for each loop, which the admin side would have to ask for one after the other.

#include <cstddef>
#include <string_view>
#include <vector>

#include "engine/metrics.h"

namespace drover::engine {

class FinishedRequests {
 public:
  // Minutes of a busy house, and with kMostBytes about 1.5 MB; twice as many would leave the cache
  // of the loop that writes one for each request.
  static constexpr std::size_t kMost = 1024;
  static constexpr std::size_t kMostBytes = 1024 * 1024;  // of texts; a usual decision has 100
  // Longer texts are cut and end in "…": the decision of a fleet of eighty fits.
  static constexpr std::size_t kLongestText = 4096;

  FinishedRequests() : ring_(kMost) {}

  // Texts are moved in and what they replace is freed, so this allocates nothing. What drover
  // answered well by itself is not kept: nothing was decided, and a page that polls /api/ps would
  // push out what somebody will ask for.
  void keep(RequestRecord&& record);

  // The newest with this id, since clients may give the same one twice; null: none is kept. Valid
  // until the next keep().
  const RequestRecord* find(std::string_view id) const;

  std::size_t size() const { return size_; }

 private:
  void forget_oldest();

  std::vector<RequestRecord> ring_;  // of kMost slots
  std::size_t oldest_ = 0;
  std::size_t size_ = 0;
  std::size_t bytes_ = 0;  // of all texts
};

}  // namespace drover::engine
