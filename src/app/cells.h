#pragma once
// Tables for people, out of JSON from a running drover: cells, and rows laid out in columns.

#include <simdjson.h>

#include <string>
#include <string_view>
#include <vector>

namespace drover::app {

// Of the field `key` of an object; "-" when it is missing, null or of another kind. What others
// wrote is made harmless for a terminal.
std::string text_of(simdjson::dom::element object, std::string_view key);
std::string number_of(simdjson::dom::element object, std::string_view key);
// Whole seconds as "3d 4h", "2h 5m", "12m", "40s".
std::string time_of(simdjson::dom::element object, std::string_view key);
// "5.1 GiB", "300 MiB".
std::string memory_of(simdjson::dom::element object, std::string_view key);
// `number * scale` without a fraction, and the unit: "35 %".
std::string rounded_of(simdjson::dom::element object, std::string_view key, double scale,
                       std::string_view unit);
// The texts of an array, joined by ", "; "-" when there are none.
std::string words_of(simdjson::dom::element object, std::string_view key);

using Row = std::vector<std::string>;
// Columns as wide as their widest cell, two blanks between. All rows are of one length.
std::string lay_out(const std::vector<Row>& rows);

}  // namespace drover::app
