#include "app/gpu_table.h"

#include <fmt/format.h>

#include <string_view>
#include <vector>

#include "app/cells.h"
#include "app/escape.h"

namespace drover::app {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;

// "well", or the condition and why.
std::string condition_of(element gpu) {
  const std::string detail = text_of(gpu, "detail");
  const std::string condition = text_of(gpu, "condition");
  return detail == "-" ? condition : fmt::format("{}: {}", condition, detail);
}

std::string of_total(const std::string& part, const std::string& total) {
  return total == "-" ? part : fmt::format("{} of {}", part, total);
}

std::string memory_cell(element gpu) {
  return of_total(memory_of(gpu, "memory_used_bytes"), memory_of(gpu, "memory_total_bytes"));
}

std::string count_of(element gpu, std::string_view key) {
  array list;
  if (gpu[key].get(list) != simdjson::SUCCESS) return "-";
  return fmt::format("{}", list.size());
}

// "gpu0 (well)": what is known of whether the instance computes here.
std::string pinning_of(std::string_view name, const element* status) {
  array instances;
  if (status == nullptr || (*status)["instances"].get(instances) != simdjson::SUCCESS) return "";
  for (const element instance : instances) {
    std::string_view its_name;
    if (instance["name"].get(its_name) != simdjson::SUCCESS || its_name != name) continue;
    bool well = false;
    if (instance["process"]["pinned_well"].get(well) != simdjson::SUCCESS) return " (not proven)";
    return well ? " (well)" : " (WRONG: " + text_of(instance["process"], "pinning_detail") + ")";
  }
  return "";
}

std::string instances_of(element gpu, const element* status) {
  array names;
  std::string out;
  if (gpu["instances"].get(names) != simdjson::SUCCESS) return "-";
  for (const element each : names) {
    std::string_view name;
    if (each.get(name) != simdjson::SUCCESS) continue;
    out += (out.empty() ? "" : ", ") + text_words(name) + pinning_of(name, status);
  }
  return out.empty() ? "-" : out;
}

void add_processes(element gpu, const ProcessName& name_of, std::vector<Row>& rows) {
  array processes;
  if (gpu["processes"].get(processes) != simdjson::SUCCESS) return;
  for (const element process : processes) {
    std::int64_t pid = 0;
    if (process["pid"].get(pid) != simdjson::SUCCESS) continue;
    const std::string name = text_words(name_of(pid));
    rows.push_back({number_of(gpu, "index"), text_of(gpu, "uuid"), fmt::format("{}", pid),
                    name.empty() ? "-" : name, memory_of(process, "memory_bytes")});
  }
}

std::string problems_of(element gpus) {
  array problems;
  std::string out;
  if (gpus["problems"].get(problems) != simdjson::SUCCESS) return out;
  for (const element problem : problems) {
    std::string_view text;
    if (problem.get(text) == simdjson::SUCCESS) out += "problem: " + text_words(text) + "\n";
  }
  return out;
}

std::string xids_of(element gpu) {
  simdjson::dom::object xids;
  std::string out;
  if (gpu["xid_errors"].get(xids) != simdjson::SUCCESS) return out;
  for (const auto& xid : xids) {
    std::uint64_t count = 0;
    if (xid.value.get(count) != simdjson::SUCCESS) continue;
    out += fmt::format("GPU {}: XID {} happened {}\n", number_of(gpu, "index"), text_words(xid.key),
                       count == 1 ? "once" : fmt::format("{} times", count));
  }
  return out;
}

constexpr std::string_view kNothing =
    "No GPU with memory of its own was found: there is no NVIDIA GPU with a driver, and no AMD or "
    "Intel one under /sys/class/drm.\n";

}  // namespace

std::string gpu_rows(element gpus) {
  array devices;
  if (gpus["devices"].get(devices) != simdjson::SUCCESS || devices.size() == 0) return "";
  std::vector<Row> rows;
  rows.push_back({"GPU", "NAME", "STATE", "MEMORY", "BUSY", "TEMP", "POWER", "SLOWED BY",
                  "PROCESSES", "INSTANCES"});
  for (const element gpu : devices) {
    rows.push_back({number_of(gpu, "index"), text_of(gpu, "name"), condition_of(gpu),
                    memory_cell(gpu), rounded_of(gpu, "utilization", 100, "%"),
                    rounded_of(gpu, "temperature_celsius", 1, "C"),
                    rounded_of(gpu, "power_watts", 1, "W"), words_of(gpu, "throttle_reasons"),
                    count_of(gpu, "processes"), words_of(gpu, "instances")});
  }
  return lay_out(rows);
}

std::string gpu_sheet(element gpus, const element* status, const ProcessName& name_of) {
  array devices;
  const bool found = gpus["devices"].get(devices) == simdjson::SUCCESS && devices.size() > 0;
  if (!found) return std::string(kNothing) + problems_of(gpus);
  std::vector<Row> rows;
  std::vector<Row> users;
  std::string errors;
  rows.push_back({"GPU", "UUID", "NAME", "STATE", "MEMORY", "BUSY", "TEMP", "POWER", "SLOWED BY",
                  "DRIVER", "MIG", "INSTANCES"});
  users.push_back({"GPU", "UUID", "PID", "PROCESS", "HOLDS"});
  for (const element gpu : devices) {
    rows.push_back({number_of(gpu, "index"), text_of(gpu, "uuid"), text_of(gpu, "name"),
                    condition_of(gpu), memory_cell(gpu), rounded_of(gpu, "utilization", 100, "%"),
                    rounded_of(gpu, "temperature_celsius", 1, "C"),
                    of_total(rounded_of(gpu, "power_watts", 1, "W"),
                             rounded_of(gpu, "power_limit_watts", 1, "W")),
                    words_of(gpu, "throttle_reasons"), text_of(gpu, "driver"), text_of(gpu, "mig"),
                    instances_of(gpu, status)});
    add_processes(gpu, name_of, users);
    errors += xids_of(gpu);
  }
  std::string out = lay_out(rows);
  if (users.size() > 1) out += "\n" + lay_out(users);
  errors += problems_of(gpus);
  return errors.empty() ? out : out + "\n" + errors;
}

}  // namespace drover::app
