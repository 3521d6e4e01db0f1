#include "head.h"

#include <strings.h>

#include <charconv>

namespace drover::bench {
namespace {

bool same(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

void take_field(std::string_view line, HeadFacts& facts) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  const std::string_view name = line.substr(0, colon);
  std::string_view value = line.substr(colon + 1);
  while (value.starts_with(' ')) value.remove_prefix(1);
  if (same(name, "content-length")) {
    std::uint64_t length = 0;
    std::from_chars(value.data(), value.data() + value.size(), length);
    facts.content_length = length;
  }
  if (same(name, "transfer-encoding")) facts.chunked = same(value, "chunked");
  if (same(name, "connection")) facts.close = same(value, "close");
}

}  // namespace

HeadFacts read_head(std::string_view head) {
  HeadFacts facts;
  facts.start = head.substr(0, head.find("\r\n"));
  head.remove_prefix(facts.start.size());
  while (head.size() > kHeadEnd.size()) {
    head.remove_prefix(2);
    const std::string_view line = head.substr(0, head.find("\r\n"));
    take_field(line, facts);
    head.remove_prefix(line.size());
  }
  return facts;
}

}  // namespace drover::bench
