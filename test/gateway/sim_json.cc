#include "gateway/sim_json.h"

#include <simdjson.h>

namespace drover::simtest {

NativeText read_native(std::string_view body) {
  NativeText out;
  simdjson::dom::parser parser;
  while (!body.empty()) {
    const std::size_t end = body.find('\n');
    const std::string line(body.substr(0, end));
    body.remove_prefix(end == std::string_view::npos ? body.size() : end + 1);
    simdjson::dom::object record;
    if (end == std::string_view::npos || parser.parse(line).get(record) != simdjson::SUCCESS) {
      out.well_formed = false;
      continue;
    }
    ++out.records;
    std::string_view text;
    if (record["response"].get(text) == simdjson::SUCCESS) out.text += text;
    if (record["message"]["content"].get(text) == simdjson::SUCCESS) out.text += text;
    if (record["error"].get(text) == simdjson::SUCCESS && out.error.empty()) out.error = text;
    bool done = false;
    out.done = record["done"].get(done) == simdjson::SUCCESS && done;
  }
  return out;
}

bool is_json(std::string_view text) {
  simdjson::dom::parser parser;
  return parser.parse(simdjson::padded_string(text)).error() == simdjson::SUCCESS;
}

std::string json_text(std::string_view json, std::string_view path) {
  simdjson::dom::parser parser;
  simdjson::dom::element element;
  const simdjson::padded_string padded(json);
  if (parser.parse(padded).get(element) != simdjson::SUCCESS) return {};
  std::string_view text;
  if (element.at_pointer("/" + std::string(path)).get(text) != simdjson::SUCCESS) return {};
  return std::string(text);
}

}  // namespace drover::simtest
