#include "export/status_json.h"

#include <fmt/format.h>

#include <cstdint>

namespace drover::exporter {
namespace {

// Names and reasons may hold anything that an instance or an operator wrote.
std::string quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

template <class List, class Item>
std::string array(const List* list, Item item) {
  if (list == nullptr) return "null";
  std::string out = "[";
  for (const auto& each : *list) {
    if (out.size() > 1) out += ',';
    out += item(each);
  }
  return out + ']';
}

std::string instance(const core::BackendView& backend, Instant now) {
  const auto name = [](const InstalledModel& model) { return quote(model.shown_name); };
  const auto loaded = [](const LoadedModel& model) {
    return fmt::format("{{\"name\":{},\"bytes\":{},\"vram_bytes\":{},\"context_length\":{}}}",
                       quote(model.name.text()), model.bytes, model.vram_bytes,
                       model.context_length);
  };
  return fmt::format(
      "{{\"name\":{},\"url\":{},\"health\":{},\"reason\":{},\"since_seconds\":{:.3f},"
      "\"in_flight\":{},\"awaiting_first\":{},\"served\":{},\"failed\":{},\"version\":{},"
      "\"models\":{},\"loaded\":{}}}",
      quote(backend.name), quote(backend.url), quote(core::to_string(backend.health)),
      quote(backend.reason), to_seconds(now - backend.since), backend.in_flight,
      backend.awaiting_first, backend.served, backend.failed, quote(backend.version),
      array(backend.catalogue.get(), name), array(backend.residency.get(), loaded));
}

}  // namespace

std::string status_json(const core::FleetView& fleet, const StatusFacts& facts) {
  std::string listen = "[";
  std::string_view rest = facts.listen;
  while (!rest.empty()) {
    const std::size_t comma = rest.find(", ");
    if (listen.size() > 1) listen += ',';
    listen += quote(rest.substr(0, comma));
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 2);
  }
  return fmt::format(
      "{{\"version\":{},\"policy\":{},\"listen\":{}],\"uptime_seconds\":{:.3f},\"instances\":{}}}"
      "\n",
      quote(facts.version), quote(fleet.policy), listen, to_seconds(facts.now - facts.started),
      array(&fleet.backends, [&facts](const auto& each) { return instance(each, facts.now); }));
}

}  // namespace drover::exporter
