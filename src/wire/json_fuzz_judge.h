#pragma once
// For fuzz targets only: simdjson as a judge, and what a body is with its edits.

#include <simdjson.h>

#include <string>
#include <string_view>
#include <vector>

#include "wire/json_scan.h"

namespace drover::wire {

// What it sees differently: numbers that no 64 bits hold, which it has no type for; more depth than
// it has; and half of a surrogate pair, which Go and drover read and it does not.
inline bool is_known_difference(simdjson::error_code error, std::string_view text) {
  const bool half_pair = error == simdjson::STRING_ERROR &&
                         (text.find("\\ud") != text.npos || text.find("\\uD") != text.npos);
  return half_pair || error == simdjson::NUMBER_ERROR || error == simdjson::DEPTH_ERROR;
}

// `edits` lie within the body.
inline std::string edited(std::string body, const std::vector<Edit>& edits) {
  for (auto edit = edits.rbegin(); edit != edits.rend(); ++edit) {
    body.replace(edit->offset, edit->length, edit->text);
  }
  return body;
}

}  // namespace drover::wire
