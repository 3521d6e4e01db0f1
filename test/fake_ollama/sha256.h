#pragma once
// SHA-256 (FIPS 180-4), so that a digest in a test means what it says.

#include <string>
#include <string_view>

namespace drover::fake {

std::string sha256_hex(std::string_view bytes);  // 64 digits

}  // namespace drover::fake
