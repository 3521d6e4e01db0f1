#include "export/prometheus.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <optional>
#include <utility>

#include "core/drift.h"

namespace drover::exporter {
namespace {

std::string escape_label(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    out += c;
  }
  return out;
}

using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

// Writes families one after the other: HELP and TYPE, then the samples.
class Writer {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    fmt::format_to(std::back_inserter(out_), "# HELP drover_{} {}\n# TYPE drover_{} {}\n", name,
                   help, name, type);
  }

  template <class Number>
  void sample(Labels labels, Number value, std::string_view suffix = {}) {
    fmt::format_to(std::back_inserter(out_), "drover_{}{}", name_, suffix);
    char separator = '{';
    for (const auto& [key, label] : labels) {
      fmt::format_to(std::back_inserter(out_), "{}{}=\"{}\"", separator, key, escape_label(label));
      separator = ',';
    }
    if (labels.size() > 0) out_ += '}';
    fmt::format_to(std::back_inserter(out_), " {}\n", value);
  }

  template <class Number>
  void single(std::string_view name, std::string_view type, std::string_view help, Number value) {
    family(name, type, help);
    sample({}, value);
  }

  void histogram(std::string_view route, const SecondsHistogram& cells) {
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < kSecondsBuckets.size(); ++i) {
      count += cells.bucket(i);
      sample({{"route", route}, {"le", fmt::format("{}", kSecondsBuckets[i])}}, count, "_bucket");
    }
    count += cells.bucket(kSecondsBuckets.size());
    sample({{"route", route}, {"le", "+Inf"}}, count, "_bucket");
    sample({{"route", route}}, cells.sum_seconds(), "_sum");
    sample({{"route", route}}, count, "_count");
  }

  std::string take() { return std::move(out_); }

 private:
  std::string out_;
  std::string name_;
};

void write_requests(Writer& out, const engine::Metrics& metrics) {
  out.family("requests_total", "counter", "Finished client requests.");
  for (const auto& [key, count] : metrics.requests()) {
    out.sample({{"route", key.route},
                {"model", key.model},
                {"backend", key.backend},
                {"code", fmt::format("{}", key.status)}},
               count);
  }
  out.family("request_outcomes_total", "counter", "Finished client requests by how they ended.");
  for (std::size_t i = 0; i < engine::kOutcomes; ++i) {
    const auto outcome = static_cast<engine::Outcome>(i);
    out.sample({{"outcome", engine::to_string(outcome)}}, metrics.outcomes(outcome));
  }
  out.family("rejected_total", "counter",
             "Requests that ended with an error of drover, by reason.");
  for (const auto& [reason, count] : metrics.refusals()) out.sample({{"reason", reason}}, count);
  out.family("http_malformed_total", "counter", "Input that was no request, by reason.");
  for (const auto& [reason, count] : metrics.malformed()) out.sample({{"reason", reason}}, count);
}

void write_times(Writer& out, const engine::Metrics& metrics) {
  out.family("request_duration_seconds", "histogram", "From arrival to the end of the answer.");
  for (const auto& [route, cells] : metrics.routes()) out.histogram(route, cells.duration);
  out.family("time_to_first_token_seconds", "histogram", "From arrival to the first content byte.");
  for (const auto& [route, cells] : metrics.routes()) out.histogram(route, cells.first_byte);
  out.family("queue_wait_seconds", "histogram", "From arrival to the last decision where to go.");
  for (const auto& [route, cells] : metrics.routes()) out.histogram(route, cells.queued);
}

constexpr std::array kStates = {core::HealthState::kUnknown, core::HealthState::kUp,
                                core::HealthState::kProbation, core::HealthState::kDown,
                                core::HealthState::kDraining};

template <class Value>
void per_backend(Writer& out, const core::FleetView& fleet, std::string_view name,
                 std::string_view type, std::string_view help, Value value) {
  out.family(name, type, help);
  for (const core::BackendView& backend : fleet.backends) {
    out.sample({{"backend", backend.name}}, value(backend));
  }
}

void write_fleet(Writer& out, const core::FleetView& fleet) {
  using View = core::BackendView;
  per_backend(out, fleet, "backend_up", "gauge", "1 while the instance takes requests.",
              [](const View& b) { return b.health == core::HealthState::kUp ? 1 : 0; });
  out.family("backend_state", "gauge", "1 for the state that the instance is in.");
  for (const View& backend : fleet.backends) {
    for (const core::HealthState state : kStates) {
      out.sample({{"backend", backend.name}, {"state", core::to_string(state)}},
                 backend.health == state ? 1 : 0);
    }
  }
  per_backend(out, fleet, "requests_running", "gauge", "Requests that the instance works on.",
              [](const View& b) { return b.in_flight; });
  per_backend(out, fleet, "requests_awaiting_first_token", "gauge",
              "Requests at the instance without a content byte yet.",
              [](const View& b) { return b.awaiting_first; });
  per_backend(out, fleet, "backend_served_total", "counter", "Answers completed.",
              [](const View& b) { return b.served; });
  per_backend(out, fleet, "backend_failed_total", "counter", "Attempts that failed.",
              [](const View& b) { return b.failed; });
  out.family("model_vram_bytes", "gauge", "Memory of a loaded model on its GPU.");
  for (const View& backend : fleet.backends) {
    if (!backend.residency) continue;
    for (const LoadedModel& model : *backend.residency) {
      out.sample({{"backend", backend.name}, {"model", model.name.text()}}, model.vram_bytes);
    }
  }
}

// Samples of those that have the reading; a device without it has no sample, never a zero.
template <class Value>
void per_gpu(Writer& out, const GpuReport& report, std::string_view name, std::string_view help,
             Value value) {
  out.family(name, "gauge", help);
  for (const Gpu& gpu : report.gpus) {
    if (const auto reading = value(gpu)) {
      out.sample({{"gpu", gpu.uuid}, {"index", fmt::format("{}", gpu.index)}}, *reading);
    }
  }
}

constexpr std::array kConditions = {GpuCondition::kWell, GpuCondition::kSilent, GpuCondition::kLost,
                                    GpuCondition::kFailed};

void write_gpu_states(Writer& out, const GpuReport& report) {
  out.family("gpu_info", "gauge", "What the device is.");
  for (const Gpu& gpu : report.gpus) {
    out.sample({{"gpu", gpu.uuid},
                {"index", fmt::format("{}", gpu.index)},
                {"name", gpu.name},
                {"pci", gpu.pci},
                {"driver", gpu.driver},
                {"mig", gpu.mig_profile}},
               1);
  }
  out.family("gpu_condition", "gauge", "1 for the condition that the device is in.");
  for (const Gpu& gpu : report.gpus) {
    for (const GpuCondition condition : kConditions) {
      out.sample({{"gpu", gpu.uuid},
                  {"index", fmt::format("{}", gpu.index)},
                  {"condition", to_string(condition)}},
                 gpu.condition == condition ? 1 : 0);
    }
  }
  out.family("gpu_throttled", "gauge", "1 for each reason that slows the device down now.");
  for (const Gpu& gpu : report.gpus) {
    for (const std::string& reason : gpu.throttle_reasons) {
      out.sample({{"gpu", gpu.uuid}, {"index", fmt::format("{}", gpu.index)}, {"reason", reason}},
                 1);
    }
  }
  out.family("gpu_xid_errors_total", "counter", "Critical errors by number, as the driver told.");
  for (const Gpu& gpu : report.gpus) {
    for (const auto& [xid, count] : gpu.xid_errors) {
      out.sample({{"gpu", gpu.uuid},
                  {"index", fmt::format("{}", gpu.index)},
                  {"xid", fmt::format("{}", xid)}},
                 count);
    }
  }
}

void write_gpus(Writer& out, const GpuReport& report) {
  per_gpu(out, report, "gpu_utilization_ratio", "Share of the time that the device computed.",
          [](const Gpu& gpu) { return gpu.utilization; });
  per_gpu(out, report, "gpu_memory_used_bytes", "Memory in use, by everybody.",
          [](const Gpu& gpu) { return gpu.memory_used_bytes; });
  per_gpu(out, report, "gpu_memory_total_bytes", "Memory of the device.",
          [](const Gpu& gpu) { return gpu.memory_total_bytes; });
  per_gpu(out, report, "gpu_temperature_celsius", "Temperature of the device.",
          [](const Gpu& gpu) { return gpu.temperature_celsius; });
  per_gpu(out, report, "gpu_power_watts", "Power that the device draws.",
          [](const Gpu& gpu) { return gpu.power_watts; });
  per_gpu(out, report, "gpu_power_limit_watts", "Power that the device may draw.",
          [](const Gpu& gpu) { return gpu.power_limit_watts; });
  per_gpu(out, report, "gpu_processes", "Processes that hold memory of the device.",
          [](const Gpu& gpu) {
            return gpu.processes ? std::optional(gpu.processes->size()) : std::nullopt;
          });
  write_gpu_states(out, report);
}

constexpr std::array kProcessStates = {ProcessState::kStarting, ProcessState::kRunning,
                                       ProcessState::kStopping, ProcessState::kWaiting,
                                       ProcessState::kStopped,  ProcessState::kQuarantined};

template <class Value>
void per_process(Writer& out, const core::FleetView& fleet, std::string_view name,
                 std::string_view type, std::string_view help, Value value) {
  out.family(name, type, help);
  for (const core::BackendView& backend : fleet.backends) {
    if (!backend.process) continue;
    const auto reading = value(*backend.process);
    if (reading) out.sample({{"backend", backend.name}}, *reading);
  }
}

void write_queue(Writer& out, const core::FleetView& fleet) {
  out.family("queue_requests", "gauge", "Requests that wait for a free slot.");
  for (std::size_t i = 0; i < kPriorities; ++i) {
    out.sample({{"priority", to_string(static_cast<Priority>(i))}}, fleet.queued_of[i]);
  }
  out.single("queue_bytes", "gauge", "Bodies of the requests that wait for a free slot.",
             fleet.queued_bytes);
  Duration longest{};
  for (const core::LineView& line : fleet.lines) longest = std::max(longest, line.expected_wait);
  out.single("queue_expected_wait_seconds", "gauge",
             "What one more request for the model with the longest wait would wait, as predicted.",
             to_seconds(longest));
  out.single("tenants_active", "gauge", "Tenants with requests in the last half minute.",
             fleet.tenants);
  out.single("predictions_total", "counter", "First tokens that were predicted and came.",
             fleet.predictions);
  out.single("prediction_error_ratio", "gauge",
             "How far off the last predictions were, in the mean.", fleet.prediction_error);
}

// Sums over the tree of an instance start anew when it is started anew: a counter that falls is a
// restart to Prometheus, as it should be.
void write_processes(Writer& out, const core::FleetView& fleet) {
  using Process = InstanceProcess;
  per_process(out, fleet, "instance_cpu_seconds_total", "counter",
              "CPU time of the instance's processes that are alive.",
              [](const Process& p) { return std::optional(to_seconds(p.cpu)); });
  per_process(out, fleet, "instance_resident_bytes", "gauge",
              "Main memory of the instance's processes.",
              [](const Process& p) { return std::optional(p.rss_bytes); });
  per_process(out, fleet, "instance_open_files", "gauge", "Open files of the instance's processes.",
              [](const Process& p) { return std::optional(p.open_files); });
  per_process(out, fleet, "instance_processes", "gauge", "Processes of the instance.",
              [](const Process& p) { return std::optional(p.processes); });
  per_process(out, fleet, "instance_restarts_total", "counter",
              "Starts of the instance after the first.",
              [](const Process& p) { return std::optional(restarts(p)); });
  per_process(out, fleet, "instance_pinned_well", "gauge",
              "1: its runners are on its own GPUs; 0: one is elsewhere; absent: not known.",
              [](const Process& p) {
                return p.pinned_well ? std::optional(*p.pinned_well ? 1 : 0) : std::nullopt;
              });
  out.family("instance_process_state", "gauge", "1 for the state that the process is in.");
  for (const core::BackendView& backend : fleet.backends) {
    if (!backend.process) continue;
    for (const ProcessState state : kProcessStates) {
      out.sample({{"backend", backend.name}, {"state", to_string(state)}},
                 backend.process->state == state ? 1 : 0);
    }
  }
}

void write_care(Writer& out, const engine::Metrics& metrics) {
  out.family("restarts_requested_total", "counter", "Restarts of instances, by cause.");
  for (const auto& [key, count] : metrics.restarts()) {
    out.sample({{"backend", key.first}, {"cause", key.second}}, count);
  }
  out.family("instance_hangs_total", "counter", "Instances found hung.");
  for (const auto& [name, count] : metrics.hangs()) out.sample({{"backend", name}}, count);
  out.family("canaries_total", "counter", "Tests of one token sent to suspicious instances.");
  for (const auto& [name, count] : metrics.canaries()) out.sample({{"backend", name}}, count);
  out.family("cpu_fallbacks_total", "counter", "Instances found computing on the CPU.");
  for (const auto& [name, count] : metrics.fallbacks()) out.sample({{"backend", name}}, count);
  out.family("loads_total", "counter", "Models that drover had loaded, by reason.");
  for (const auto& [key, count] : metrics.loads()) {
    out.sample({{"backend", key.first}, {"reason", key.second}}, count);
  }
  out.family("unloads_total", "counter", "Models taken out of memory, by reason.");
  for (const auto& [key, count] : metrics.unloads()) {
    out.sample({{"backend", key.first}, {"reason", key.second}}, count);
  }
}

void write_orders(Writer& out, const core::FleetView& fleet, const engine::Metrics& metrics) {
  out.family("model_orders_total", "counter", "Changes of models for the whole fleet, by outcome.");
  for (const auto& [key, count] : metrics.jobs()) {
    out.sample({{"verb", key.first}, {"result", key.second}}, count);
  }
  out.family("model_orders_active", "gauge", "Of these, under way or waiting.");
  out.sample({}, metrics.jobs_active.value());
  out.single("model_bytes_copied_total", "counter",
             "Bytes of models that were copied from one store to another.",
             metrics.blob_bytes_copied.value());
  out.family("model_reloads_total", "counter",
             "Models loaded anew because of a client's load-time options.");
  for (const auto& [key, count] : metrics.reloads()) {
    out.sample({{"model", key[0]}, {"cause", key[1]}, {"client", key[2]}}, count);
  }
  out.family("model_drift", "gauge", "Model names that stand for different models here and there.");
  out.sample({}, core::drifted_models(fleet).size());
}

}  // namespace

std::string metrics_text(const core::FleetView& fleet, const engine::Metrics& metrics,
                         std::string_view version) {
  Writer out;
  out.family("build_info", "gauge", "What runs here.");
  out.sample({{"version", version}, {"policy", fleet.policy}}, 1);
  write_requests(out, metrics);
  write_orders(out, fleet, metrics);
  write_times(out, metrics);
  write_fleet(out, fleet);
  write_processes(out, fleet);
  write_queue(out, fleet);
  if (fleet.gpus) write_gpus(out, *fleet.gpus);
  out.family("backend_state_changes_total", "counter", "Changes of state, by the new state.");
  for (const auto& [key, count] : metrics.health_changes()) {
    out.sample({{"backend", key.first}, {"state", key.second}}, count);
  }
  out.family("tokens_total", "counter", "Tokens as instances counted them.");
  out.sample({{"direction", "prompt"}}, metrics.prompt_tokens());
  out.sample({{"direction", "output"}}, metrics.output_tokens());
  out.single("retries_total", "counter", "Further attempts of requests.", metrics.retries());
  out.single("stale_connections_total", "counter",
             "Kept connections to instances that turned out closed and were replaced unseen.",
             metrics.stale_connections());
  out.single("leases_revoked_total", "counter",
             "Attempts taken back because their instance went down.", metrics.revoked());
  out.single("requests_active", "gauge", "Client requests under way.",
             metrics.requests_active.value());
  out.single("connections_open", "gauge", "Client connections.", metrics.connections_open.value());
  out.single("connections_accepted_total", "counter", "Client connections accepted.",
             metrics.connections_accepted.value());
  out.single("body_memory_bytes", "gauge",
             "Memory that request bodies over limits.spill_bytes take (limits.body_memory).",
             metrics.body_memory_bytes.value());
  out.single("connections_evicted_total", "counter", "Idle connections that made room for others.",
             metrics.connections_evicted.value());
  out.single("log_lines_dropped_total", "counter", "Log lines lost to a slow log.",
             metrics.log_lines_dropped.value());
  out.single("notes_written_total", "counter", "Times that what was learned was written down.",
             metrics.notes_written.value());
  out.single("notes_failed_total", "counter", "Times that this could not be done.",
             metrics.notes_failed.value());
  if (metrics.notes_age_seconds.value() >= 0) {
    out.single("notes_age_seconds", "gauge", "Since what was learned was last written down.",
               metrics.notes_age_seconds.value());
  }
  write_care(out, metrics);
  return out.take();
}

}  // namespace drover::exporter
