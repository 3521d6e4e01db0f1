// What the system tells the keeper in words: systemd about units, a list in /etc, a mark in a
// process's environment. Whoever may write there is trusted, their typing is not.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "keeper/instance_list.h"
#include "keeper/ollama_unit.h"
#include "keeper/process_tree.h"
#include "keeper/unit_state.h"

namespace {

using namespace drover::keeper;

void require(bool condition) {
  if (!condition) std::abort();
}

void check_ollama_unit(std::string_view text) {
  const OllamaUnit unit = read_ollama_unit(text);
  require(unit.address().find(':') != std::string::npos);
  OllamaUnit other;
  other.environment.emplace_back("OLLAMA_HOST", text);
  const std::string address = other.address();
  const std::size_t colon = address.rfind(':');
  require(colon != std::string::npos && colon + 1 < address.size());
  require(address.find_first_not_of("0123456789", colon + 1) == std::string::npos);
}

void check_unit_states(std::string_view text) {
  for (const UnitState& state : read_unit_states(text)) {
    require(!state.unit.empty());
    (void)process_of(state);
  }
}

void check_instance_list(std::string_view text) {
  const auto list = read_instance_list(text);
  if (!list) {
    require(!list.error().message.empty());
    return;
  }
  for (const ListedInstance& each : *list) require(is_instance_name(each.name) && each.port != 0);
  const auto again = read_instance_list(write_instance_list(*list));
  require(again.ok() && *again == *list);
}

void check_identity(std::string_view text) {
  const auto identity = ProcessIdentity::parse(text);
  if (!identity) return;
  const auto again = ProcessIdentity::parse(identity->to_string());
  require(again && *again == *identity);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_ollama_unit(text);
  check_unit_states(text);
  check_instance_list(text);
  check_identity(text);
  return 0;
}
