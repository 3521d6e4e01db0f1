#include "wire/record_filter.h"

#include <cstddef>

#include "wire/json_bytes.h"

namespace drover::wire {
namespace {

// What follows `"key"` and its colon at `at`; empty when this is another key, or not a key.
std::string_view value_after(std::string_view record, std::size_t at, std::string_view quoted_key) {
  constexpr std::string_view kSpace = " \t\r\n";
  if (record.compare(at, quoted_key.size(), quoted_key) != 0) return {};
  const std::size_t colon = record.find_first_not_of(kSpace, at + quoted_key.size());
  if (colon == std::string_view::npos || record[colon] != ':') return {};
  const std::size_t value = record.find_first_not_of(kSpace, colon + 1);
  return value == std::string_view::npos ? std::string_view{} : record.substr(value);
}

// A type that matters, or one written with escapes, which only the parser should judge.
bool type_matters(StreamShape shape, std::string_view value) {
  if (!value.starts_with('"')) return false;
  const char* const last = value.data() + value.size();
  const char* const end = skip_plain(value.data() + 1, last);
  if (end == last) return false;
  const auto size = static_cast<std::size_t>(end - value.data()) - 1;
  return *end == '\\' || event_matters(shape, value.substr(1, size));
}

bool key_matters(StreamShape shape, std::string_view record, std::size_t at) {
  switch (record[at + 1]) {
    case 'd':
      return value_after(record, at, "\"done\"").starts_with('t');
    case 'e': {
      const std::string_view value = value_after(record, at, "\"error\"");
      return !value.empty() && value.front() != 'n';
    }
    case 'u': {
      const std::string_view value = value_after(record, at, "\"usage\"");
      return !value.empty() && value.front() != 'n';
    }
    default:
      return type_matters(shape, value_after(record, at, "\"type\""));
  }
}

}  // namespace

bool may_matter(StreamShape shape, TypeField type, std::string_view record) {
  const char second = shape == StreamShape::kNdjson ? 'd' : 'u';
  // Looking for 'e' twice costs nothing.
  const char third = type == TypeField::kCounts ? 't' : 'e';
  for (std::size_t at = 0;; ++at) {
    at = find_quoted(record, at, 'e', second, third);
    if (at == std::string_view::npos) return false;
    if (key_matters(shape, record, at)) return true;
  }
}

bool event_is_terminal(StreamShape shape, std::string_view name) {
  if (shape == StreamShape::kAnthropic) return name == "message_stop";
  if (shape != StreamShape::kResponses) return false;
  return name == "response.completed" || name == "response.incomplete" || name == "response.failed";
}

bool event_matters(StreamShape shape, std::string_view name) {
  return name == "error" || event_is_terminal(shape, name);
}

}  // namespace drover::wire
