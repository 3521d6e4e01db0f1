#include "app/status_table.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "app/escape.h"

namespace drover::app {
namespace {

using simdjson::dom::element;

constexpr std::size_t kColumns = 8;
using Row = std::array<std::string, kColumns>;

std::string text_of(element object, std::string_view key) {
  std::string_view text;
  if (object[key].get(text) != simdjson::SUCCESS || text.empty()) return "-";
  return text_words(text);
}

std::string number_of(element object, std::string_view key) {
  std::uint64_t number = 0;
  if (object[key].get(number) != simdjson::SUCCESS) return "-";
  return fmt::format("{}", number);
}

std::string loaded_models(element instance) {
  simdjson::dom::array loaded;
  if (instance["loaded"].get(loaded) != simdjson::SUCCESS) return "-";
  std::string out;
  for (const element model : loaded) {
    out += (out.empty() ? "" : ", ") + text_of(model, "name");
  }
  return out.empty() ? "-" : out;
}

// "3d 4h", "2h 5m", "12m", "40s": two units are enough.
std::string show_time(std::uint64_t seconds) {
  const std::uint64_t minutes = seconds / 60;
  const std::uint64_t hours = minutes / 60;
  if (hours >= 24) return fmt::format("{}d {}h", hours / 24, hours % 24);
  if (hours > 0) return fmt::format("{}h {}m", hours, minutes % 60);
  if (minutes > 0) return fmt::format("{}m", minutes);
  return fmt::format("{}s", seconds);
}

// Whole seconds of a number that may be written with a fraction.
std::string time_of(element object, std::string_view key) {
  double seconds = 0;
  if (object[key].get(seconds) != simdjson::SUCCESS || !(seconds >= 0 && seconds < 1e12)) {
    return "-";
  }
  return show_time(static_cast<std::uint64_t>(seconds));
}

// Characters, not bytes: what sets the width on a terminal for the scripts that names use.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string lay_out(const std::vector<Row>& rows) {
  std::array<std::size_t, kColumns> widths{};
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < kColumns; ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::string out;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < kColumns; ++i) {
      line += row[i];
      line.append(widths[i] - width_of(row[i]) + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

Row row_of(element instance) {
  return {text_of(instance, "name"),          text_of(instance, "health"),
          time_of(instance, "since_seconds"), loaded_models(instance),
          number_of(instance, "in_flight"),   number_of(instance, "served"),
          number_of(instance, "failed"),      text_of(instance, "reason")};
}

std::string heading(element status) {
  std::string listen;
  simdjson::dom::array addresses;
  if (status["listen"].get(addresses) == simdjson::SUCCESS) {
    for (const element address : addresses) {
      std::string_view text;
      if (address.get(text) != simdjson::SUCCESS) continue;
      listen += (listen.empty() ? "" : ", ") + text_words(text);
    }
  }
  return fmt::format("drover {} on {}, policy {}, up {}\n\n", text_of(status, "version"),
                     listen.empty() ? "-" : listen, text_of(status, "policy"),
                     time_of(status, "uptime_seconds"));
}

}  // namespace

Result<std::string> status_table(std::string_view json) {
  simdjson::dom::parser parser;
  element status;
  simdjson::dom::array instances;
  const bool usable = parser.parse(json.data(), json.size()).get(status) == simdjson::SUCCESS &&
                      status["instances"].get(instances) == simdjson::SUCCESS;
  if (!usable) {
    return Error{ErrorKind::kUpstream, Origin::kInstance, Retry::kNever,
                 "the answer is no status of drover"};
  }
  std::vector<Row> rows;
  rows.push_back({"INSTANCE", "STATE", "SINCE", "LOADED", "IN FLIGHT", "SERVED", "FAILED", "WHY"});
  for (const element instance : instances) rows.push_back(row_of(instance));
  if (rows.size() == 1) return heading(status) + "No instances.\n";
  return heading(status) + lay_out(rows);
}

}  // namespace drover::app
