#pragma once
// The orders under way as text, so that a drover that was killed in the middle goes on with them: a
// line of JSON for each. That the text is whole is for whoever keeps it to know (store/folder.h).

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "jobs/order.h"

namespace drover::jobs {

// Orders that are the same when they are carried out twice, and need nobody to send more for them;
// with a body of at most kMaxKeptBody, which has names and a flag or two.
bool is_kept(const Order& order);

inline constexpr std::size_t kMaxKeptBody = 4096;
inline constexpr std::uint32_t kJournalVersion = 1;
// Bytes: 64 orders need a fiftieth of it, and half of it where each byte is escaped.
inline constexpr std::size_t kMaxJournal = 4 * 1024 * 1024;

// Precondition: is_kept() of each.
std::string journal_text(const std::vector<const Order*>& orders);
// Errors (kSystem): a line is no order; the message says which.
Result<std::vector<Order>> read_journal(std::string_view text);

}  // namespace drover::jobs
