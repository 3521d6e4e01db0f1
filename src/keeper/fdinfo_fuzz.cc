// /proc/PID/fdinfo is written by the kernel, and what it may say differs by driver and version.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "keeper/gpu_sysfs.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto client = drover::keeper::parse_fdinfo(text);
  // Whose address stands nowhere in the text was made up.
  if (client && text.find(client->pdev) == std::string_view::npos) std::abort();
  return 0;
}
