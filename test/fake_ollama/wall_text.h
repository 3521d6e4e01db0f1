#pragma once
// Civil time in the two spellings that answers need.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"

namespace drover::fake {

// "2026-01-31T12:00:00.123456789Z". Keeps the text of the last second, since every token has one.
class WallText {
 public:
  // Valid until the next call.
  std::string_view rfc3339(WallTime at);

 private:
  std::int64_t second_ = INT64_MIN;
  std::string text_;
};

std::string rfc3339(WallTime at);
// "Sat, 31 Jan 2026 12:00:00 GMT".
std::string http_date(WallTime at);

}  // namespace drover::fake
