#include "wire/http_head.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <utility>

#include "wire/http_chars.h"

namespace drover::wire {
namespace {

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (to_lower(a[i]) != to_lower(b[i])) return false;
  }
  return true;
}

std::optional<std::string_view> find_field(const std::vector<Field>& fields,
                                           std::string_view lower_case_name) {
  for (const Field& field : fields) {
    if (field_is(field.name, lower_case_name)) return field.value;
  }
  return std::nullopt;
}

std::string_view trimmed(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

template <class Block>
Block load(const char* at) {
  Block block = 0;
  std::memcpy(&block, at, sizeof(block));
  return block;
}

// Several characters at once. They may differ in the bit that makes a letter upper case, and only
// in letters, which of all that a lower-case name consists of have the bit 0x40.
bool is_block_of(std::uint64_t name, std::uint64_t lower_case_name) {
  constexpr std::uint64_t kCase = 0x2020202020202020U;
  constexpr std::uint64_t kLetter = 0x4040404040404040U;
  const std::uint64_t differs = name ^ lower_case_name;
  return (differs & ~kCase) == 0 && ((differs << 1U) & ~lower_case_name & kLetter) == 0;
}

// RFC 9110 7.6.1, the fields that older texts list as well, and the upgrade to HTTP/2.
constexpr FieldNames kHopByHop(std::to_array<std::string_view>(
    {"connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization",
     "te", "trailer", "transfer-encoding", "upgrade", "http2-settings"}));

constexpr std::array<std::pair<int, std::string_view>, 44> kReasons = {{
    {100, "Continue"},
    {101, "Switching Protocols"},
    {103, "Early Hints"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
}};

}  // namespace

bool is_lower_case_of(std::string_view name, std::string_view lower_case_name) {
  const char* const a = name.data();
  const char* const b = lower_case_name.data();
  const std::size_t size = name.size();
  // Blocks may overlap, so that there is no rest.
  if (size >= 8) {
    for (std::size_t i = 0; i + 8 < size; i += 8) {
      if (!is_block_of(load<std::uint64_t>(a + i), load<std::uint64_t>(b + i))) return false;
    }
    return is_block_of(load<std::uint64_t>(a + size - 8), load<std::uint64_t>(b + size - 8));
  }
  if (size >= 4) {
    return is_block_of(load<std::uint32_t>(a), load<std::uint32_t>(b)) &&
           is_block_of(load<std::uint32_t>(a + size - 4), load<std::uint32_t>(b + size - 4));
  }
  for (std::size_t i = 0; i < size; ++i) {
    if (to_lower(a[i]) != b[i]) return false;
  }
  return true;
}

std::optional<std::string_view> RequestHead::find(std::string_view lower_case_name) const {
  return find_field(fields, lower_case_name);
}

void RequestHead::clear() {
  std::vector<Field> kept = std::move(fields);
  kept.clear();
  *this = RequestHead{};
  fields = std::move(kept);
}

std::optional<std::string_view> ResponseHead::find(std::string_view lower_case_name) const {
  return find_field(fields, lower_case_name);
}

void ResponseHead::clear() {
  std::vector<Field> kept = std::move(fields);
  kept.clear();
  *this = ResponseHead{};
  fields = std::move(kept);
}

bool list_has_token(std::string_view value, std::string_view token) {
  while (!value.empty()) {
    const std::size_t comma = value.find(',');
    if (equal_ignoring_case(trimmed(value.substr(0, comma)), token)) return true;
    if (comma == std::string_view::npos) return false;
    value.remove_prefix(comma + 1);
  }
  return false;
}

bool is_hop_by_hop(std::string_view name) { return kHopByHop.contains(name); }

std::string_view reason_phrase(int status) {
  for (const auto& [code, phrase] : kReasons) {
    if (code == status) return phrase;
  }
  return "Status";
}

}  // namespace drover::wire
