#include "gateway/admin_page.h"

#include <fmt/format.h>

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
      "<p>As JSON: <a href=\"/api/v1/status\">/api/v1/status</a> · for Prometheus: "
      "<a href=\"/metrics\">/metrics</a></p>\n</body></html>\n",
      kStyle, escape(facts.version), escape(facts.listen), escape(fleet.policy),
      facts.requests_active, rows);
}

}  // namespace drover::gateway
