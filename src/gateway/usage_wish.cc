#include "gateway/usage_wish.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace drover::gateway {
namespace {

using Options = wire::OptionPlaces::Options;

// Only valid bodies come here, so there is a key behind the first brace, and a comma is due.
std::optional<wire::Edit> wish(const wire::RequestFacts& facts) {
  const wire::UsagePlaces& places = facts.usage_places;
  const wire::OptionPlaces::Place& value = places.include_usage;
  switch (places.options) {
    case Options::kMissing:
      return wire::Edit{facts.places.document + 1, 0,
                        R"("stream_options":{"include_usage":true},)"};
    case Options::kNull:
      return wire::Edit{places.at.offset, places.at.length, R"({"include_usage":true})"};
    case Options::kEmpty:
      return wire::Edit{places.at.offset + 1, 0, R"("include_usage":true)"};
    case Options::kFilled:
      if (value.length > 0) return wire::Edit{value.offset, value.length, "true"};
      return wire::Edit{places.at.offset + 1, 0, R"("include_usage":true,)"};
    case Options::kOther:
      break;
  }
  return std::nullopt;
}

// As Ollama writes it. In a text a quote is escaped, so no answer can look so.
bool tells_usage(std::string_view record) {
  return record.find(R"("choices":[])") != std::string_view::npos &&
         record.find(R"("usage":{)") != std::string_view::npos;
}

}  // namespace

bool ask_for_usage(wire::RequestFacts& facts) {
  if (facts.include_usage) return false;
  std::optional<wire::Edit> edit = wish(facts);
  if (!edit) return false;
  const auto at = std::ranges::upper_bound(facts.edits, edit->offset, {}, &wire::Edit::offset);
  facts.edits.insert(at, *std::move(edit));
  return true;
}

std::string without_usage(std::string_view records, bool inside) {
  constexpr std::string_view kEnd = "\n\n";
  std::string out;
  // Other line ends are not Ollama's: what a record is there is not decided here.
  if (records.find('\r') != std::string_view::npos) return std::string(records);
  while (!records.empty()) {
    const std::size_t end = records.find(kEnd);
    const std::size_t size = end == std::string_view::npos ? records.size() : end + kEnd.size();
    const std::string_view record = records.substr(0, size);
    const bool whole = end != std::string_view::npos && !std::exchange(inside, false);
    if (!whole || !tells_usage(record)) out += record;
    records.remove_prefix(size);
  }
  return out;
}

}  // namespace drover::gateway
