#include "export/status_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>

#include "core/drift.h"

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

template <class Value>
std::string or_null(const std::optional<Value>& value) {
  return value ? fmt::format("{}", *value) : "null";
}

// A share or a sensor's reading: three digits behind the point are more than it measures.
std::string reading(const std::optional<double>& value) {
  return value ? fmt::format("{:.3f}", *value) : "null";
}

std::string process(const std::optional<InstanceProcess>& process) {
  if (!process) return "null";
  return fmt::format(
      "{{\"state\":{},\"reason\":{},\"pid\":{},\"restarts\":{},\"processes\":{},"
      "\"cpu_seconds\":{:.3f},\"resident_bytes\":{},\"open_files\":{},\"pinned_well\":{},"
      "\"pinning_detail\":{}}}",
      quote(to_string(process->state)), quote(process->reason), process->pid, restarts(*process),
      process->processes, to_seconds(process->cpu), process->rss_bytes, process->open_files,
      or_null(process->pinned_well), quote(process->pinning_detail));
}

// Names of the instances that were given this device alone, or with others.
std::string users(const core::FleetView& fleet, const std::string& uuid) {
  std::string out = "[";
  for (const core::BackendView& backend : fleet.backends) {
    if (std::find(backend.gpus.begin(), backend.gpus.end(), uuid) == backend.gpus.end()) continue;
    if (out.size() > 1) out += ',';
    out += quote(backend.name);
  }
  return out + ']';
}

std::string gpu(const Gpu& gpu, const core::FleetView* fleet) {
  const auto text = [](const std::string& each) { return quote(each); };
  const auto xid = [](const auto& each) {
    return fmt::format("\"{}\":{}", each.first, each.second);
  };
  const auto holder = [](const GpuProcess& each) {
    return fmt::format("{{\"pid\":{},\"memory_bytes\":{}}}", each.pid, or_null(each.memory_bytes));
  };
  std::string xids = array(&gpu.xid_errors, xid);
  xids.front() = '{';
  xids.back() = '}';
  return fmt::format(
      "{{\"index\":{},\"uuid\":{},\"name\":{},\"vendor\":{},\"pci\":{},\"driver\":{},\"mig\":{},"
      "\"condition\":{},\"detail\":{},\"memory_total_bytes\":{},\"memory_used_bytes\":{},"
      "\"utilization\":{},\"temperature_celsius\":{},\"power_watts\":{},"
      "\"power_limit_watts\":{},\"throttle_reasons\":{},\"xid_errors\":{},\"processes\":{},"
      "\"instances\":{}}}",
      gpu.index, quote(gpu.uuid), quote(gpu.name), quote(to_string(gpu.vendor)), quote(gpu.pci),
      quote(gpu.driver), quote(gpu.mig_profile), quote(to_string(gpu.condition)), quote(gpu.detail),
      or_null(gpu.memory_total_bytes), or_null(gpu.memory_used_bytes), reading(gpu.utilization),
      reading(gpu.temperature_celsius), reading(gpu.power_watts), reading(gpu.power_limit_watts),
      array(&gpu.throttle_reasons, text), xids,
      array(gpu.processes ? &*gpu.processes : nullptr, holder),
      fleet == nullptr ? "[]" : users(*fleet, gpu.uuid));
}

std::string report(const GpuReport* report, const core::FleetView* fleet) {
  if (report == nullptr) return "null";
  const auto text = [](const std::string& each) { return quote(each); };
  const auto device = [fleet](const Gpu& each) { return gpu(each, fleet); };
  return fmt::format("{{\"source\":{},\"problems\":{},\"devices\":{}}}", quote(report->source),
                     array(&report->problems, text), array(&report->gpus, device));
}

std::string instance(const core::BackendView& backend, Instant now) {
  const auto uuid = [](const std::string& each) { return quote(each); };
  const auto name = [](const InstalledModel& model) { return quote(model.shown_name); };
  const auto loaded = [](const LoadedModel& model) {
    return fmt::format("{{\"name\":{},\"bytes\":{},\"vram_bytes\":{},\"context_length\":{}}}",
                       quote(model.name.text()), model.bytes, model.vram_bytes,
                       model.context_length);
  };
  return fmt::format(
      "{{\"name\":{},\"url\":{},\"health\":{},\"reason\":{},\"since_seconds\":{:.3f},"
      "\"in_flight\":{},\"awaiting_first\":{},\"served\":{},\"failed\":{},\"version\":{},"
      "\"models\":{},\"loaded\":{},\"supervised\":{},\"placement\":{},\"gpus\":{},"
      "\"process\":{}}}",
      quote(backend.name), quote(backend.url), quote(core::to_string(backend.health)),
      quote(backend.reason), to_seconds(now - backend.since), backend.in_flight,
      backend.awaiting_first, backend.served, backend.failed, quote(backend.version),
      array(backend.catalogue.get(), name), array(backend.residency.get(), loaded),
      backend.supervised, quote(core::to_string(backend.placement)), array(&backend.gpus, uuid),
      process(backend.process));
}

std::string queue(const core::FleetView& fleet) {
  const auto line = [](const core::LineView& each) {
    return fmt::format("{{\"model\":{},\"waiting\":{},\"expected_wait_seconds\":{:.3f}}}",
                       quote(each.model.text()), each.waiting, to_seconds(each.expected_wait));
  };
  std::string bands;
  for (std::size_t i = 0; i < kPriorities; ++i) {
    fmt::format_to(std::back_inserter(bands), "{}{}:{}", i == 0 ? "" : ",",
                   quote(to_string(static_cast<Priority>(i))), fleet.queued_of[i]);
  }
  return fmt::format("{{\"waiting\":{},\"priorities\":{{{}}},\"bytes\":{},\"lines\":{}}}",
                     fleet.queued, bands, fleet.queued_bytes, array(&fleet.lines, line));
}

// Names that stand for different models here and there.
std::string drift(const core::FleetView& fleet) {
  const std::vector<ModelName> names = core::drifted_models(fleet);
  return array(&names, [](const ModelName& name) { return quote(name.text()); });
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
      "{{\"version\":{},\"policy\":{},\"listen\":{}],\"uptime_seconds\":{:.3f},\"instances\":{},"
      "\"queue\":{},\"drift\":{},\"gpus\":{}}}\n",
      quote(facts.version), quote(fleet.policy), listen, to_seconds(facts.now - facts.started),
      array(&fleet.backends, [&facts](const auto& each) { return instance(each, facts.now); }),
      queue(fleet), drift(fleet), report(fleet.gpus.get(), &fleet));
}

std::string gpus_json(const GpuReport& gpus) { return report(&gpus, nullptr) + "\n"; }

}  // namespace drover::exporter
