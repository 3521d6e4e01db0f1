#pragma once
// The orders under way as text, so that a drover that was killed in the middle goes on with them:
// a first line with the version, a JSON object for each order, and a last line that counts them and
// proves that none is missing or changed.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "jobs/order.h"

namespace drover::jobs {

// Orders that are the same when they are carried out twice, and need nobody to send more for them.
bool is_kept(Verb verb);

inline constexpr std::size_t kMaxJournal = 1024 * 1024;  // bytes; 64 orders need a tenth of it

// Precondition: is_kept() of each.
std::string journal_text(const std::vector<const Order*>& orders);
// Errors (kSystem): it is no journal, of another version, cut or changed; the message says which.
Result<std::vector<Order>> read_journal(std::string_view text);

}  // namespace drover::jobs
