#pragma once
// The findings for people.

#include <span>
#include <string>

#include "results.h"

namespace drover::bench {

std::string table(std::span<const Sample> samples, std::span<const Finding> all);

}  // namespace drover::bench
