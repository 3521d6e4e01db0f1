// Whatever is read is written and read again as the same.

#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "export/learned_text.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drover::exporter;
  const auto learned = parse_learned({reinterpret_cast<const char*>(data), size});
  if (learned) DROVER_ASSERT(parse_learned(learned_text(*learned)) == learned);
  return 0;
}
