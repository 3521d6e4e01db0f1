// The text is read back by a strict little reader: every sample belongs to a family with HELP and
// TYPE written before it, no family and no sample comes twice, histograms add up.

#include "export/prometheus.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <sstream>

#include "core/testing.h"

namespace drover::exporter {
namespace {

using core::testing::Script;
using namespace std::chrono_literals;

struct Family {
  std::string type;
  bool has_help = false;
  std::map<std::string, double> samples;  // by name and labels, as written
};

class Reader {
 public:
  explicit Reader(const std::string& text) {
    EXPECT_TRUE(text.ends_with('\n'));
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      SCOPED_TRACE(line);
      if (line.starts_with("# HELP ")) {
        help(line.substr(7));
      } else if (line.starts_with("# TYPE ")) {
        type(line.substr(7));
      } else {
        sample(line);
      }
    }
    for (auto& [name, family] : families) {
      SCOPED_TRACE(name);
      EXPECT_TRUE(family.has_help);
      if (family.type == "histogram") check_histogram(name, family);
    }
  }

  double at(const std::string& name_and_labels) const {
    const std::string name = name_and_labels.substr(0, name_and_labels.find('{'));
    const auto family = families.find(name);
    if (family == families.end()) return -1;
    const auto found = family->second.samples.find(name_and_labels);
    return found == family->second.samples.end() ? -1 : found->second;
  }

  std::map<std::string, Family> families;

 private:
  void help(const std::string& rest) {
    const std::size_t space = rest.find(' ');
    ASSERT_NE(space, std::string::npos);
    EXPECT_LT(space + 1, rest.size()) << "an empty help";
    current_ = rest.substr(0, space);
    EXPECT_TRUE(current_.starts_with("drover_"));
    EXPECT_TRUE(families.try_emplace(current_).second) << "a family twice";
    families[current_].has_help = true;
  }
  void type(const std::string& rest) {
    const std::size_t space = rest.find(' ');
    ASSERT_EQ(rest.substr(0, space), current_) << "TYPE follows its HELP";
    const std::string word = rest.substr(space + 1);
    EXPECT_TRUE(word == "counter" || word == "gauge" || word == "histogram");
    EXPECT_EQ(word == "counter", current_.ends_with("_total"));
    families[current_].type = word;
  }
  void sample(const std::string& line) {
    Family& family = families[current_];
    ASSERT_FALSE(family.type.empty()) << "a sample before its TYPE";
    const std::string name = line.substr(0, line.find_first_of("{ "));
    if (family.type == "histogram") {
      const bool known =
          name == current_ + "_bucket" || name == current_ + "_sum" || name == current_ + "_count";
      EXPECT_TRUE(known) << "a sample outside of its family";
    } else {
      EXPECT_EQ(name, current_) << "a sample outside of its family";
    }
    const std::size_t end = labels_end(line, name.size());
    ASSERT_NE(end, std::string::npos) << "malformed labels";
    ASSERT_EQ(line[end], ' ');
    std::size_t used = 0;
    const std::string number = line.substr(end + 1);
    const double value = std::stod(number, &used);
    EXPECT_EQ(used, number.size());
    EXPECT_TRUE(family.samples.emplace(line.substr(0, end), value).second) << "a sample twice";
  }
  // Where {key="value",...} that starts at `at` ends; `at` itself without labels.
  static std::size_t labels_end(const std::string& line, std::size_t at) {
    if (line[at] != '{') return at;
    do {
      const std::size_t key = at + 1;
      at = line.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", key);
      if (at == key || line.compare(at, 2, "=\"") != 0) return std::string::npos;
      for (at += 2; line[at] != '"'; ++at) {
        if (line[at] == '\\') ++at;
        if (at >= line.size()) return std::string::npos;
      }
      ++at;
    } while (line[at] == ',');
    return line[at] == '}' ? at + 1 : std::string::npos;
  }
  // Per set of labels: buckets ascend, the last is +Inf and equals _count.
  void check_histogram(const std::string& name, const Family& family) {
    constexpr std::string_view kLe = ",le=\"";
    std::map<std::string, std::map<double, double>> buckets;
    for (const auto& [key, value] : family.samples) {
      const std::size_t le = key.rfind(kLe);
      if (le == std::string::npos) continue;
      const std::string edge = key.substr(le + kLe.size(), key.size() - le - kLe.size() - 2);
      const double upper = edge == "+Inf" ? HUGE_VAL : std::stod(edge);
      buckets[key.substr(0, le)][upper] = value;
    }
    for (const auto& [prefix, counts] : buckets) {
      double before = 0;
      for (const auto& [le, count] : counts) {
        EXPECT_GE(count, before) << "buckets are cumulative";
        before = count;
      }
      EXPECT_EQ(counts.rbegin()->first, HUGE_VAL);
      const std::string labels = prefix.substr(prefix.find('{'));
      EXPECT_EQ(before, family.samples.at(name + "_count" + labels + "}"));
      EXPECT_EQ(family.samples.count(name + "_sum" + labels + "}"), 1U);
    }
  }

  std::string current_;
};

engine::RequestRecord served(Duration total) {
  return {{.route = "/api/chat",
           .status = 200,
           .retries = 1,
           .queued = 1ms,
           .first_byte = 30ms,
           .usage = {.prompt_tokens = 5, .output_tokens = 50}},
          "m:latest",
          "gpu0",
          total};
}

TEST(Prometheus, AnEmptyFleetIsValidText) {
  const engine::Metrics metrics;
  const Reader read(metrics_text({}, metrics, "0.1.0"));
  EXPECT_EQ(read.at("drover_retries_total"), 0);
  EXPECT_EQ(read.at("drover_connections_open"), 0);
}

TEST(Prometheus, SaysWhatHappened) {
  Script fleet(2);
  fleet.has(0, {"m"});
  fleet.has_loaded(0, {"m"});
  fleet.served(fleet.ask("m"));
  ASSERT_TRUE(fleet.ask("m").granted);
  fleet.refuses(1);
  engine::Metrics metrics;
  metrics.record(served(2s));
  metrics.record(served(900s));
  metrics.record({{.route = "/api/chat",
                   .status = 404,
                   .outcome = engine::Outcome::kRefused,
                   .reason = "no_such_model"},
                  "nowhere",
                  "",
                  {}});
  metrics.count_malformed("bad_method");
  metrics.count_health_change("gpu1", "down");
  metrics.count_revoked();
  metrics.count_restart("gpu1", "hang");
  metrics.count_hang("gpu1");
  metrics.count_canary("gpu1");
  metrics.count_fallback("gpu0");
  metrics.count_unload("gpu0", "room");
  metrics.count_load("gpu0", "copy");
  metrics.count_job("pull", "partial");
  metrics.jobs_active.add(2);
  metrics.connections_open.add(3);
  metrics.body_memory_bytes.add(5000);
  metrics.connections_evicted.add(2);
  const Reader read(metrics_text(fleet.fleet(), metrics, "0.1.0"));
  EXPECT_EQ(read.at("drover_build_info{version=\"0.1.0\",policy=\"least_loaded\"}"), 1);
  EXPECT_EQ(read.at("drover_requests_total{route=\"/api/chat\",model=\"m:latest\","
                    "backend=\"gpu0\",code=\"200\"}"),
            2);
  EXPECT_EQ(read.at("drover_requests_total{route=\"/api/chat\",model=\"other\",backend=\"\","
                    "code=\"404\"}"),
            1);
  EXPECT_EQ(read.at("drover_rejected_total{reason=\"no_such_model\"}"), 1);
  EXPECT_EQ(read.at("drover_http_malformed_total{reason=\"bad_method\"}"), 1);
  EXPECT_EQ(read.at("drover_backend_up{backend=\"gpu0\"}"), 1);
  EXPECT_EQ(read.at("drover_backend_up{backend=\"gpu1\"}"), 0);
  EXPECT_EQ(read.at("drover_backend_state{backend=\"gpu1\",state=\"down\"}"), 1);
  EXPECT_EQ(read.at("drover_backend_state{backend=\"gpu1\",state=\"up\"}"), 0);
  EXPECT_EQ(read.at("drover_backend_served_total{backend=\"gpu0\"}"), 1);
  EXPECT_EQ(read.at("drover_requests_running{backend=\"gpu0\"}"), 1);
  EXPECT_EQ(read.at("drover_tokens_total{direction=\"output\"}"), 100);
  EXPECT_EQ(read.at("drover_retries_total"), 2);
  EXPECT_EQ(read.at("drover_leases_revoked_total"), 1);
  EXPECT_EQ(read.at("drover_restarts_requested_total{backend=\"gpu1\",cause=\"hang\"}"), 1);
  EXPECT_EQ(read.at("drover_instance_hangs_total{backend=\"gpu1\"}"), 1);
  EXPECT_EQ(read.at("drover_canaries_total{backend=\"gpu1\"}"), 1);
  EXPECT_EQ(read.at("drover_cpu_fallbacks_total{backend=\"gpu0\"}"), 1);
  EXPECT_EQ(read.at("drover_loads_total{backend=\"gpu0\",reason=\"copy\"}"), 1);
  EXPECT_EQ(read.at("drover_queue_requests{priority=\"batch\"}"), 0);
  EXPECT_EQ(read.at("drover_tenants_active"), 0);
  EXPECT_EQ(read.at("drover_predictions_total"), 0);
  EXPECT_EQ(read.at("drover_unloads_total{backend=\"gpu0\",reason=\"room\"}"), 1);
  EXPECT_EQ(read.at("drover_model_orders_total{verb=\"pull\",result=\"partial\"}"), 1);
  EXPECT_EQ(read.at("drover_model_orders_active"), 2);
  EXPECT_EQ(read.at("drover_model_drift"), 0);
  EXPECT_EQ(read.at("drover_connections_open"), 3);
  EXPECT_EQ(read.at("drover_body_memory_bytes"), 5000);
  EXPECT_EQ(read.at("drover_connections_evicted_total"), 2);
  const Family& duration = read.families.at("drover_request_duration_seconds");
  EXPECT_EQ(duration.samples.at(
                "drover_request_duration_seconds_bucket{route=\"/api/chat\",le=\"2.56\"}"),
            2);
  EXPECT_EQ(duration.samples.at("drover_request_duration_seconds_count{route=\"/api/chat\"}"), 3);
}

TEST(Prometheus, SaysHowLongTheWaitIsAndHowOldTheNotesAre) {
  core::FleetView fleet;
  fleet.lines.push_back({ModelName::canonical("a"), 3, 2500ms});
  fleet.lines.push_back({ModelName::canonical("b"), 9, 1s});
  fleet.queued_of = {0, 10, 2};
  engine::Metrics metrics;
  metrics.notes_age_seconds.set(-1);
  metrics.notes_failed.add();
  const Reader read(metrics_text(fleet, metrics, "0.1.0"));
  EXPECT_EQ(read.at("drover_queue_expected_wait_seconds"), 2.5);
  EXPECT_EQ(read.at("drover_queue_requests{priority=\"normal\"}"), 10);
  EXPECT_EQ(read.at("drover_queue_requests{priority=\"batch\"}"), 2);
  EXPECT_EQ(read.at("drover_notes_written_total"), 0);
  EXPECT_EQ(read.at("drover_notes_failed_total"), 1);
  EXPECT_EQ(read.families.count("drover_notes_age_seconds"), 0U) << "none was written";
  metrics.notes_age_seconds.set(7);
  EXPECT_EQ(Reader(metrics_text(fleet, metrics, "0.1.0")).at("drover_notes_age_seconds"), 7);
}

TEST(Prometheus, LabelsAreEscaped) {
  core::FleetView fleet;
  fleet.backends.push_back({.id = BackendId{0}, .name = "a\"b\\c\nd"});
  const engine::Metrics metrics;
  const Reader read(metrics_text(fleet, metrics, "0.1.0"));
  EXPECT_EQ(read.at(R"(drover_backend_up{backend="a\"b\\c\nd"})"), 0);
}

TEST(Prometheus, DevicesHaveTheReadingsThatThereAre) {
  core::FleetView fleet;
  GpuReport report{"nvml", {{.index = 0, .uuid = "GPU-a"}, {.index = 1, .uuid = "GPU-b"}}, {}};
  Gpu& full = report.gpus[0];
  full.name = "H100";
  full.driver = "550.54";
  full.memory_total_bytes = 85520809984;
  full.memory_used_bytes = 5368709120;
  full.utilization = 0.35;
  full.temperature_celsius = 41;
  full.power_watts = 71.25;
  full.power_limit_watts = 700;
  full.throttle_reasons = {"hw_thermal"};
  full.xid_errors = {{79, 2}};
  full.processes = {{4711, 8}, {4712, std::nullopt}};
  report.gpus[1].condition = GpuCondition::kLost;
  fleet.gpus = std::make_shared<const GpuReport>(report);
  const Reader read(metrics_text(fleet, engine::Metrics(), "0.1.0"));
  const std::string a = "{gpu=\"GPU-a\",index=\"0\"}";
  EXPECT_EQ(read.at("drover_gpu_utilization_ratio" + a), 0.35);
  EXPECT_EQ(read.at("drover_gpu_memory_used_bytes" + a), 5368709120);
  EXPECT_EQ(read.at("drover_gpu_memory_total_bytes" + a), 85520809984);
  EXPECT_EQ(read.at("drover_gpu_temperature_celsius" + a), 41);
  EXPECT_EQ(read.at("drover_gpu_power_watts" + a), 71.25);
  EXPECT_EQ(read.at("drover_gpu_power_limit_watts" + a), 700);
  EXPECT_EQ(read.at("drover_gpu_processes" + a), 2);
  EXPECT_EQ(read.at("drover_gpu_xid_errors_total{gpu=\"GPU-a\",index=\"0\",xid=\"79\"}"), 2);
  EXPECT_EQ(read.at("drover_gpu_throttled{gpu=\"GPU-a\",index=\"0\",reason=\"hw_thermal\"}"), 1);
  EXPECT_EQ(read.at("drover_gpu_info{gpu=\"GPU-a\",index=\"0\",name=\"H100\",pci=\"\","
                    "driver=\"550.54\",mig=\"\"}"),
            1);
  const std::string b = "{gpu=\"GPU-b\",index=\"1\"}";
  EXPECT_EQ(read.at("drover_gpu_utilization_ratio" + b), -1) << "absent, not zero";
  EXPECT_EQ(read.at("drover_gpu_processes" + b), -1);
  EXPECT_EQ(read.at("drover_gpu_condition{gpu=\"GPU-b\",index=\"1\",condition=\"lost\"}"), 1);
  EXPECT_EQ(read.at("drover_gpu_condition{gpu=\"GPU-b\",index=\"1\",condition=\"well\"}"), 0);
}

TEST(Prometheus, WithoutAReaderOfDevicesThereIsNothingAboutThem) {
  const Reader read(metrics_text({}, engine::Metrics(), "0.1.0"));
  EXPECT_EQ(read.families.count("drover_gpu_info"), 0U);
}

TEST(Prometheus, SupervisedInstancesHaveTheirProcess) {
  core::FleetView fleet;
  fleet.backends.push_back({.id = BackendId{0}, .name = "gpu0", .supervised = true});
  fleet.backends.push_back({.id = BackendId{1}, .name = "foreign"});
  InstanceProcess process{.state = ProcessState::kRunning, .pid = 77, .starts = 3};
  process.processes = 2;
  process.cpu = 1500ms;
  process.rss_bytes = 4096;
  process.open_files = 12;
  fleet.backends[0].process = process;
  {
    const Reader read(metrics_text(fleet, engine::Metrics(), "0.1.0"));
    EXPECT_EQ(read.at("drover_instance_cpu_seconds_total{backend=\"gpu0\"}"), 1.5);
    EXPECT_EQ(read.at("drover_instance_resident_bytes{backend=\"gpu0\"}"), 4096);
    EXPECT_EQ(read.at("drover_instance_open_files{backend=\"gpu0\"}"), 12);
    EXPECT_EQ(read.at("drover_instance_processes{backend=\"gpu0\"}"), 2);
    EXPECT_EQ(read.at("drover_instance_restarts_total{backend=\"gpu0\"}"), 2);
    EXPECT_EQ(read.at("drover_instance_process_state{backend=\"gpu0\",state=\"running\"}"), 1);
    EXPECT_EQ(read.at("drover_instance_process_state{backend=\"gpu0\",state=\"waiting\"}"), 0);
    EXPECT_EQ(read.at("drover_instance_pinned_well{backend=\"gpu0\"}"), -1) << "not known yet";
    EXPECT_EQ(read.at("drover_instance_restarts_total{backend=\"foreign\"}"), -1);
  }
  fleet.backends[0].process->pinned_well = false;
  const Reader read(metrics_text(fleet, engine::Metrics(), "0.1.0"));
  EXPECT_EQ(read.at("drover_instance_pinned_well{backend=\"gpu0\"}"), 0);
}

}  // namespace
}  // namespace drover::exporter
