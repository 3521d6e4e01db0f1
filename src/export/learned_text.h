#pragma once
// What was learned, as text for a file, and back. One thing a line, its kind first, words apart by
// a blank; names have their odd bytes as %XX. Numbers are written so that they come back as they
// were.

#include <optional>
#include <string>
#include <string_view>

#include "core/learned.h"

namespace drover::exporter {

// Changes with the lines' meaning: an older file is not read.
inline constexpr std::uint32_t kLearnedVersion = 1;
// 1024 models at 64 instances are 13 MB.
inline constexpr std::size_t kLearnedMaxBytes = std::size_t{32} << 20;

// At most kLearnedMaxBytes: the last models are left out where that is too little.
std::string learned_text(const core::Learned& learned);

// Nothing: some line is not what it should be, or a number is none that can be learned.
std::optional<core::Learned> parse_learned(std::string_view text);

}  // namespace drover::exporter
