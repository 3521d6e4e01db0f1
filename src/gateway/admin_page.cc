#include "gateway/admin_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "core/drift.h"

namespace drover::gateway {
namespace {

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

// "3 s", "12 min", "5 h", "2 d".
std::string age(Duration d) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(d).count();
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 7200) return fmt::format("{} min", seconds / 60);
  if (seconds < 172'800) return fmt::format("{} h", seconds / 3600);
  return fmt::format("{} d", seconds / 86'400);
}

std::string loaded(const core::BackendView& backend) {
  if (!backend.residency) return "unknown";
  std::string text;
  for (const LoadedModel& model : *backend.residency) {
    if (!text.empty()) text += ", ";
    text += model.name.text();
  }
  return text.empty() ? "none" : text;
}

constexpr std::string_view kStyle =
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;"
    "color:#1b1f24;background:#fff}h1{font-size:1.4rem;margin:0}p{color:#57606a;margin:.3rem 0 "
    "1.2rem}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.45rem .7rem;"
    "border-bottom:1px solid "
    "#d8dee4;vertical-align:top}th{font-weight:600}td.n,th.n{text-align:right;"
    "font-variant-numeric:tabular-nums}.up{color:#116329}.down{color:#a40e26;font-weight:600}"
    ".other{color:#7d4e00}small{color:#57606a}div{overflow-x:auto}"
    "@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}p,small{color:"
    "#9198a1}th,td{border-color:#30363d}.up{color:#3fb950}.down{color:#ff7b72}.other{color:"
    "#d29922}}";

std::string_view style_class(core::HealthState state) {
  if (state == core::HealthState::kUp) return "up";
  return state == core::HealthState::kDown ? "down" : "other";
}

std::string row(const core::BackendView& backend, Instant now) {
  const std::string reason =
      backend.reason.empty() ? "" : fmt::format("<br><small>{}</small>", escape(backend.reason));
  const std::string models =
      backend.catalogue ? fmt::format("{}", backend.catalogue->size()) : "unknown";
  return fmt::format(
      "<tr><td>{}<br><small>{}</small></td><td><span class=\"{}\">{}</span> <small>for {}</small>"
      "{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>"
      "<td class=\"n\">{}</td><td>{}</td><td class=\"n\">{}</td><td>{}</td></tr>\n",
      escape(backend.name), escape(backend.url), style_class(backend.health),
      core::to_string(backend.health), age(now - backend.since), reason, backend.in_flight,
      backend.awaiting_first, backend.served, backend.failed, escape(loaded(backend)), models,
      escape(backend.version));
}

// "5.1 GiB"; "-" for a reading that there is not.
std::string memory(const std::optional<std::uint64_t>& bytes) {
  if (!bytes) return "-";
  return fmt::format("{:.1f} GiB", static_cast<double>(*bytes) / (1024.0 * 1024.0 * 1024.0));
}

std::string rounded(const std::optional<double>& value, double scale, std::string_view unit) {
  return value ? fmt::format("{:.0f} {}", *value * scale, unit) : "-";
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += ", ";
    text += word;
  }
  return text;
}

std::string users(const core::FleetView& fleet, const std::string& uuid) {
  std::vector<std::string> names;
  for (const core::BackendView& backend : fleet.backends) {
    if (std::find(backend.gpus.begin(), backend.gpus.end(), uuid) != backend.gpus.end()) {
      names.push_back(backend.name);
    }
  }
  return joined(names);
}

std::string gpu_notes(const Gpu& gpu) {
  std::vector<std::string> notes;
  if (!gpu.detail.empty()) notes.push_back(gpu.detail);
  if (!gpu.throttle_reasons.empty()) {
    notes.push_back("slowed down by " + joined(gpu.throttle_reasons));
  }
  for (const auto& [xid, count] : gpu.xid_errors) {
    notes.push_back(fmt::format("XID {} ({} times)", xid, count));
  }
  return notes.empty() ? "" : fmt::format("<br><small>{}</small>", escape(joined(notes)));
}

std::string gpu_row(const core::FleetView& fleet, const Gpu& gpu) {
  return fmt::format(
      "<tr><td>{} {}<br><small>{}</small></td><td><span class=\"{}\">{}</span>{}</td>"
      "<td class=\"n\">{} of {}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>"
      "<td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td></tr>\n",
      gpu.index, escape(gpu.name), escape(gpu.uuid),
      gpu.condition == GpuCondition::kWell ? "up" : "down", to_string(gpu.condition),
      gpu_notes(gpu), memory(gpu.memory_used_bytes), memory(gpu.memory_total_bytes),
      rounded(gpu.utilization, 100, "%"), rounded(gpu.temperature_celsius, 1, "°C"),
      rounded(gpu.power_watts, 1, "W"),
      gpu.processes ? fmt::format("{}", gpu.processes->size()) : "-",
      escape(users(fleet, gpu.uuid)));
}

std::string gpu_table(const core::FleetView& fleet) {
  if (!fleet.gpus) return "";
  std::string text;
  for (const std::string& problem : fleet.gpus->problems) {
    text += fmt::format("<p>{}</p>\n", escape(problem));
  }
  if (fleet.gpus->gpus.empty()) return text;
  text +=
      "<div><table>\n<thead><tr><th>GPU</th><th>Condition</th><th class=\"n\">Memory</th>"
      "<th class=\"n\">Busy</th><th class=\"n\">Temperature</th><th class=\"n\">Power</th>"
      "<th class=\"n\">Processes</th><th>Instances</th></tr></thead>\n<tbody>\n";
  for (const Gpu& gpu : fleet.gpus->gpus) text += gpu_row(fleet, gpu);
  return text + "</tbody></table></div>\n";
}

std::string process_row(const core::BackendView& backend) {
  const InstanceProcess& process = *backend.process;
  const std::string pinned = !process.pinned_well   ? "not known"
                             : *process.pinned_well ? "well"
                                                    : process.pinning_detail;
  return fmt::format(
      "<tr><td>{}</td><td>{}<br><small>{}</small></td><td class=\"n\">{}</td>"
      "<td class=\"n\">{}</td><td class=\"n\">{:.0f} s</td><td class=\"n\">{}</td>"
      "<td class=\"n\">{}</td><td>{}</td></tr>\n",
      escape(backend.name), to_string(process.state), escape(process.reason),
      process.pid == 0 ? "-" : fmt::format("{}", process.pid), restarts(process),
      to_seconds(process.cpu), memory(process.rss_bytes), process.open_files, escape(pinned));
}

std::string process_table(const core::FleetView& fleet) {
  std::string rows;
  for (const core::BackendView& backend : fleet.backends) {
    if (backend.process) rows += process_row(backend);
  }
  if (rows.empty()) return "";
  return "<div><table>\n<thead><tr><th>Process of</th><th>State</th><th class=\"n\">PID</th>"
         "<th class=\"n\">Restarts</th><th class=\"n\">CPU</th><th class=\"n\">Memory</th>"
         "<th class=\"n\">Open files</th><th>Pinned</th></tr></thead>\n<tbody>\n" +
         rows + "</tbody></table></div>\n";
}

// Names that stand for different models here and there.
std::string drift_line(const core::FleetView& fleet) {
  std::string names;
  for (const ModelName& name : core::drifted_models(fleet)) {
    names += (names.empty() ? "" : ", ") + escape(name.text());
  }
  if (names.empty()) return "";
  return "<p>Different models under one name: <b>" + names + "</b>; a pull makes them equal.</p>\n";
}

}  // namespace

std::string admin_page(const core::FleetView& fleet, const PageFacts& facts) {
  std::string rows;
  for (const core::BackendView& backend : fleet.backends) rows += row(backend, facts.now);
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width\">\n"
      "<meta http-equiv=\"refresh\" content=\"2\"><title>drover</title>\n"
      "<style>{}</style></head><body>\n<h1>drover</h1>\n"
      "<p>{} · clients use <b>{}</b> · policy {} · {} requests running</p>\n"
      "<div><table>\n<thead><tr><th>Instance</th><th>State</th><th class=\"n\">In flight</th>"
      "<th class=\"n\">Before first token</th><th class=\"n\">Served</th>"
      "<th class=\"n\">Failed</th><th>Loaded</th>"
      "<th "
      "class=\"n\">Installed</th><th>Ollama</th></tr></thead>\n<tbody>\n{}</tbody></table></div>\n"
      "{}{}{}<p>As JSON: <a href=\"/api/v1/status\">/api/v1/status</a> · for Prometheus: "
      "<a href=\"/metrics\">/metrics</a></p>\n</body></html>\n",
      kStyle, escape(facts.version), escape(facts.listen), escape(fleet.policy),
      facts.requests_active, rows, drift_line(fleet), process_table(fleet), gpu_table(fleet));
}

}  // namespace drover::gateway
