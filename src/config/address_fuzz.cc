// Values as people write them on a command line and in variables: an address, a URL, a duration, a
// size, a whole setting. What is accepted is written as it is read, and whatever is said about the
// rest can be printed on a terminal.

#include "config/address.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "config/overlay.h"
#include "config/values.h"
#include "config/words.h"

namespace {

using namespace drover::config;

void require(bool condition) {
  if (!condition) std::abort();
}

bool is_printable(std::string_view text) {
  for (const char c : text) {
    const bool control = static_cast<unsigned char>(c) < 0x20 && c != '\n';
    if (control || c == 0x7f) return false;
  }
  return true;
}

void check_address(std::string_view text) {
  const auto address = parse_host_port(text);
  if (!address) {
    require(is_printable(address.error().message));
    return;
  }
  const auto again = parse_host_port(address->to_string());
  require(again.ok() && *again == *address && address->port != 0);
  require(same_place(*address, *again));
  const auto listen = parse_listen_address(address->to_string());
  require(!listen || (listen->port == address->port && reaches(*listen, *address)));
}

void check_url(std::string_view text) {
  const auto backend = parse_backend_url(text);
  if (!backend) {
    require(is_printable(backend.error().message));
    return;
  }
  const auto again = parse_backend_url(backend->url);
  require(again.ok() && again->url == backend->url && again->address == backend->address);
}

void check_host(std::string_view text) {
  const auto host = parse_host(text);
  if (!host) return;
  const auto again = parse_host(*host);
  require(again.ok() && *again == *host);
}

void check_scalars(std::string_view text) {
  if (const auto duration = parse_duration(text)) {
    const auto again = parse_duration(show_duration(*duration));
    require(again.ok() && *again == *duration);
  }
  if (const auto size = parse_size(text)) {
    const auto again = parse_size(show_size(*size));
    require(again.ok() && *again == *size);
  }
  if (const auto share = parse_share(text)) require(*share >= 0);
  (void)parse_count(text);
}

void check_words(std::string_view text) {
  require(is_printable(quote(text)) && quote(text).find('\n') == std::string::npos);
  require(is_printable(quote_path(text)));
  constexpr std::string_view kKnown[] = {"listen", "backends", "policy", "limits.head_bytes"};
  const auto near = nearest(text, kKnown);
  bool known = !near;
  for (const std::string_view word : kKnown) known = known || *near == word;
  require(known);
}

// "key=value" in each line, as the environment and flags give them.
void check_settings(std::string_view text) {
  std::vector<Setting> settings;
  while (!text.empty() && settings.size() < 8) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(line.size() < text.size() ? line.size() + 1 : text.size());
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    settings.push_back(
        {"--flag", std::string(line.substr(0, equals)), std::string(line.substr(equals + 1))});
  }
  const LoadResult result = assemble(std::nullopt, settings);
  for (const Problem& problem : result.errors) require(is_printable(problem.render()));
  for (const Backend& backend : result.config.backends) check_url(backend.url);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_address(text);
  check_url(text);
  check_host(text);
  check_scalars(text);
  check_words(text);
  check_settings(text);
  return 0;
}
