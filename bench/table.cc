#include "table.h"

#include <fmt/format.h>

#include <algorithm>

namespace drover::bench {
namespace {

constexpr int kTitleColumns = 20;
constexpr int kColumns = 17;

std::string number(double value) {
  if (value >= 1000 || value <= -1000) return fmt::format("{:.0f}", value);
  return fmt::format("{:.{}f}", value, value >= 100 ? 1 : 2);
}

std::string value_cell(const Finding& finding) {
  return finding.value ? number(finding.value->median) : "-";
}

// The ratio, and behind it how far the rounds spread.
std::string ratio_cell(const Finding& finding) {
  if (!finding.ratio) return "-";
  const Spread& ratio = *finding.ratio;
  if (ratio.count == 1) return fmt::format("x{:.2f}", ratio.median);
  return fmt::format("x{:.2f} {:.2f}-{:.2f}", ratio.median, ratio.least, ratio.most);
}

std::string bounds(const Measure& measure) {
  if (!measure.must) return {};
  const std::string_view sign = measure.better == Measure::Better::kLess ? "<=" : ">=";
  return fmt::format("must {} {:.2f}, aim {} {:.2f}", sign, *measure.must, sign, *measure.aim);
}

std::string verdicts(std::span<const Finding> row) {
  std::string out;
  for (const Finding& finding : row) {
    const Verdict verdict = verdict_of(finding);
    if (verdict == Verdict::kNone) continue;
    out += fmt::format("  {}: {}", finding.peer.name, to_string(verdict));
  }
  return out;
}

std::string head_of(const Scenario& scenario, std::span<const Finding> row) {
  std::string out = fmt::format("\n{}: {}\n{:{}}", scenario.name, scenario.what, "", kTitleColumns);
  for (const Finding& finding : row) out += fmt::format("{:>{}}", finding.peer.name, kColumns);
  return out + '\n';
}

std::string line_of(std::string_view title, std::span<const Finding> row,
                    std::string (*cell)(const Finding&)) {
  std::string out = fmt::format("  {:{}}", title, kTitleColumns - 2);
  for (const Finding& each : row) out += fmt::format("{:>{}}", cell(each), kColumns);
  return out + '\n';
}

std::string row_text(std::span<const Finding> row) {
  const Measure& measure = *row.front().measure;
  std::string out = line_of(measure.title, row, value_cell);
  out += line_of("", row, ratio_cell);
  const std::string wanted = bounds(measure);
  if (!wanted.empty()) {
    out += fmt::format("{:{}}{}:{}\n", "", kTitleColumns, wanted, verdicts(row));
  }
  return out;
}

const Scenario& scenario_of(const Measure& measure) {
  return *std::find_if(scenarios().begin(), scenarios().end(),
                       [&](const Scenario& each) { return each.name == measure.scenario; });
}

std::string disturbances(std::span<const Sample> samples) {
  std::string out;
  std::size_t disturbed = 0;
  for (const Sample& sample : samples) {
    disturbed += !sample.clean && sample.report.wrong == 0;
    if (sample.report.wrong == 0) continue;
    out += fmt::format("WRONG: {} {} round {}: {} answers, the first: {}\n", sample.scenario->name,
                       sample.peer.name, sample.round + 1, sample.report.wrong, sample.problem);
  }
  return out + fmt::format("{} samples, {} of them disturbed by other work and not used\n",
                           samples.size(), disturbed);
}

}  // namespace

std::string table(std::span<const Sample> samples, std::span<const Finding> all) {
  std::string out;
  std::string_view scenario;
  for (std::size_t i = 0; i < all.size();) {
    std::size_t end = i + 1;
    while (end < all.size() && all[end].measure == all[i].measure) ++end;
    const std::span<const Finding> row = all.subspan(i, end - i);
    if (row.front().measure->scenario != scenario) {
      scenario = row.front().measure->scenario;
      out += head_of(scenario_of(*row.front().measure), row);
    }
    out += row_text(row);
    i = end;
  }
  out +=
      "\nx: the ratio to bare HAProxy within a round (median, least-most); of two loops, to one\n";
  return out + disturbances(samples);
}

}  // namespace drover::bench
