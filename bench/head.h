#pragma once
// As much of an HTTP/1.1 head as the load tools need. They talk to known programs on loopback;
// strictness is the proxy's business.

#include <cstdint>
#include <optional>
#include <string_view>

namespace drover::bench {

inline constexpr std::string_view kHeadEnd = "\r\n\r\n";

struct HeadFacts {
  std::string_view start;  // the first line
  std::optional<std::uint64_t> content_length;
  bool chunked = false;
  bool close = false;
};

// Of a whole head.
HeadFacts read_head(std::string_view head);

}  // namespace drover::bench
