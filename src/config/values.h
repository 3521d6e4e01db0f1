#pragma once
// One scalar of the configuration, text to value. An Error's message is the end of a sentence that
// begins with the key's name: "'limits.head_bytes' " + "must be a size such as 64KiB, not 'big'".

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace drover::config {

// "500ms", "2s", "10m", "24h": digits and one unit.
Result<Duration> parse_duration(std::string_view text);

// "64KiB", "1MiB", "100MB", "512B" or a plain number of bytes. K, M and G count in thousands
// without the 'i' and in 1024s with it.
Result<std::uint64_t> parse_size(std::string_view text);

// "0", "42": digits only.
Result<std::uint64_t> parse_count(std::string_view text);

// "0.2", "1": a decimal number without sign or exponent.
Result<double> parse_share(std::string_view text);

// The shortest exact spelling: 120 s is "2m", 65536 is "64KiB".
std::string show_duration(Duration value);
std::string show_size(std::uint64_t bytes);

}  // namespace drover::config
