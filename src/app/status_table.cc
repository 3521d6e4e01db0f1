#include "app/status_table.h"

#include <fmt/format.h>

#include <string>
#include <vector>

#include "app/cells.h"
#include "app/gpu_table.h"

namespace drover::app {
namespace {

using simdjson::dom::element;

std::string loaded_models(element instance) {
  simdjson::dom::array loaded;
  if (instance["loaded"].get(loaded) != simdjson::SUCCESS) return "-";
  std::string out;
  for (const element model : loaded) {
    out += (out.empty() ? "" : ", ") + text_of(model, "name");
  }
  return out.empty() ? "-" : out;
}

Row row_of(element instance) {
  return {text_of(instance, "name"),          text_of(instance, "health"),
          time_of(instance, "since_seconds"), loaded_models(instance),
          number_of(instance, "in_flight"),   number_of(instance, "served"),
          number_of(instance, "failed"),      text_of(instance, "reason")};
}

// Nothing for an instance that somebody else runs.
Row process_row_of(element instance) {
  element process;
  if (instance["process"].get(process) != simdjson::SUCCESS || !process.is_object()) return {};
  bool pinned_well = false;
  const bool known = process["pinned_well"].get(pinned_well) == simdjson::SUCCESS;
  const std::string pinned = !known        ? "-"
                             : pinned_well ? "well"
                                           : text_of(process, "pinning_detail");
  return {text_of(instance, "name"),        text_of(process, "state"),
          number_of(process, "pid"),        number_of(process, "restarts"),
          time_of(process, "cpu_seconds"),  memory_of(process, "resident_bytes"),
          number_of(process, "open_files"), pinned,
          text_of(process, "reason")};
}

std::string processes(const simdjson::dom::array& instances) {
  std::vector<Row> rows;
  rows.push_back(
      {"PROCESS OF", "STATE", "PID", "RESTARTS", "CPU", "MEMORY", "FILES", "PINNED", "WHY"});
  for (const element instance : instances) {
    if (Row row = process_row_of(instance); !row.empty()) rows.push_back(std::move(row));
  }
  return rows.size() == 1 ? "" : "\n" + lay_out(rows);
}

std::string heading(element status) {
  return fmt::format("drover {} on {}, policy {}, up {}\n\n", text_of(status, "version"),
                     words_of(status, "listen"), text_of(status, "policy"),
                     time_of(status, "uptime_seconds"));
}

std::string devices(element status) {
  element gpus;
  if (status["gpus"].get(gpus) != simdjson::SUCCESS) return "";
  const std::string table = gpu_rows(gpus);
  return table.empty() ? "" : "\n" + table;
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
  const std::string fleet = rows.size() == 1 ? "No instances.\n" : lay_out(rows);
  return heading(status) + fleet + processes(instances) + devices(status);
}

}  // namespace drover::app
