// Any text as a configuration file: never a crash, never an exception, always bounded. What was
// accepted must hold its promises: parsed again from its own spelling it is the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "config/address.h"
#include "config/load.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drover::config;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const LoadResult result = load(text, "fuzz.yaml");
  require(result.errors.size() <= kMaxProblems + 1);
  for (const Problem& problem : result.errors) {
    require(!problem.message.empty() && problem.line >= 0 && problem.column >= 0);
    // No raw control byte of the file reaches a terminal.
    require(problem.render().find('\x1b') == std::string::npos);
  }
  if (!result.ok()) return 0;
  for (const HostPort& address : result.config.listen) {
    // Not parse_host_port(): port 0 is one to listen on, and none to connect to.
    const auto again = parse_listen_address(address.to_string());
    require(again.ok() && *again == address);
  }
  for (const Backend& backend : result.config.backends) {
    const auto again = parse_backend_url(backend.url);
    require(again.ok() && again->address == backend.address && again->url == backend.url);
    require(!backend.name.empty());
  }
  return 0;
}
