#include "record.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <cmath>
#include <ctime>
#include <fstream>

namespace drover::bench {
namespace {

constexpr double kTicks = kTicksPerSecond;

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + '"';
}

std::string number(double value) {
  return std::isfinite(value) ? fmt::format("{:.6g}", value) : "null";
}

std::string spread_json(const std::optional<Spread>& spread) {
  if (!spread) return "null";
  return fmt::format(R"({{"median":{},"least":{},"most":{},"rounds":{}}})", number(spread->median),
                     number(spread->least), number(spread->most), spread->count);
}

std::string optional_number(const std::optional<double>& value) {
  return value ? number(*value) : "null";
}

std::string setting_json(const Setting& setting) {
  std::string versions;
  for (const auto& [peer, version] : setting.versions) {
    versions += fmt::format("{}{}:{}", versions.empty() ? "" : ",", quoted(peer), quoted(version));
  }
  return fmt::format(
      R"("date":{},"command":{},"processor":{},"cores":{},"kernel":{},"revision":{},)"
      R"("versions":{{{}}},"rounds":{},"seconds":{})",
      quoted(setting.date), quoted(setting.command), quoted(setting.processor), setting.cores,
      quoted(setting.kernel), quoted(setting.revision), versions, setting.rounds,
      number(setting.seconds));
}

std::string sample_json(const Sample& sample) {
  return fmt::format(R"({{"scenario":{},"peer":{},"round":{},"attempt":{},"clean":{},)"
                     R"("foreign":{},"interval_ms":{},"problem":{},"report":{}}})",
                     quoted(sample.scenario->name), quoted(sample.peer.name), sample.round + 1,
                     sample.attempt + 1, sample.clean, number(sample.foreign),
                     number(static_cast<double>(sample.interval_ns) / 1e6), quoted(sample.problem),
                     report_json(sample.report));
}

std::string finding_json(const Finding& finding) {
  const Measure& measure = *finding.measure;
  return fmt::format(
      R"({{"scenario":{},"measure":{},"peer":{},"value":{},"ratio":{},"must":{},"aim":{},)"
      R"("verdict":{}}})",
      quoted(measure.scenario), quoted(measure.name), quoted(finding.peer.name),
      spread_json(finding.value), spread_json(finding.ratio), optional_number(measure.must),
      optional_number(measure.aim), quoted(to_string(verdict_of(finding))));
}

template <class Each, class Text>
std::string list(std::span<const Each> all, Text text) {
  std::string out;
  for (const Each& each : all) out += (out.empty() ? "\n" : ",\n") + text(each);
  return out;
}

std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

}  // namespace

Setting setting_of(const RunOptions& options, const std::string& command) {
  Setting setting;
  setting.date = utc_now();
  setting.command = command;
  setting.processor = processor();
  setting.cores = allowed_cores().size();
  utsname names{};
  if (::uname(&names) == 0) setting.kernel = names.release;
  setting.revision = output_of("git describe --always --dirty --exclude='*'");
  for (const Peer& peer : options.peers) {
    const std::string version = version_of(peer);
    if (!version.empty()) setting.versions.emplace_back(peer.name, version);
  }
  setting.rounds = options.rounds;
  setting.seconds = options.timing.seconds;
  return setting;
}

std::string report_json(const LoadReport& r) {
  return fmt::format(
      R"({{"seconds":{},"answers":{},"records":{},"p50_us":{},"p90_us":{},"p99_us":{},)"
      R"("p999_us":{},"proxy_cpu_s":{},"proxy_user_s":{},"proxy_kernel_s":{},"tools_cpu_s":{},)"
      R"("memory_empty":{},"memory_largest_process":{},"memory_few":{},"memory_many":{},)"
      R"("held_few":{},"held_many":{},"wrong":{},"problem":{}}})",
      number(r.seconds), r.answers, r.records, number(r.p50_ns / 1e3), number(r.p90_ns / 1e3),
      number(r.p99_ns / 1e3), number(r.p999_ns / 1e3), number(r.proxy_ns / 1e9),
      number(r.proxy_user_ticks / kTicks), number(r.proxy_kernel_ticks / kTicks),
      number(r.tools_ns / 1e9), r.memory_empty, r.memory_largest, r.memory_few, r.memory_many,
      r.held_few, r.held_many, r.wrong, quoted(r.problem));
}

std::string json_document(const Setting& setting, std::span<const Sample> samples,
                          std::span<const Finding> all) {
  return fmt::format("{{{},\n\"samples\":[{}],\n\"findings\":[{}]}}\n", setting_json(setting),
                     list(samples, sample_json), list(all, finding_json));
}

// Only what somebody looks up a year later: medians, ratios, and how far those spread.
std::string history_line(const Setting& setting, std::span<const Finding> all) {
  std::string figures;
  for (const Finding& finding : all) {
    if (!finding.value) continue;
    std::string ratio = "null,null,null";
    if (finding.ratio) {
      ratio = fmt::format("{},{},{}", number(finding.ratio->median), number(finding.ratio->least),
                          number(finding.ratio->most));
    }
    figures += fmt::format(R"({}"{} {} {}":[{},{}])", figures.empty() ? "" : ",", finding.peer.name,
                           finding.measure->scenario, finding.measure->name,
                           number(finding.value->median), ratio);
  }
  return fmt::format("{{{},\"value_ratio_least_most\":{{{}}}}}\n", setting_json(setting), figures);
}

}  // namespace drover::bench
