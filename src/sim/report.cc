#include "sim/report.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

namespace drover::sim {
namespace {

std::string number(double value, int digits) { return fmt::format("{:.{}f}", value, digits); }

bool all_tenants_alike(const Comparison& comparison) {
  return std::ranges::all_of(comparison.runs, [](const std::vector<Metrics>& seeds) {
    return std::ranges::all_of(
        seeds, [](const Metrics& run) { return at(run, Metric::kVictimsP99) == 0; });
  });
}

// What says nothing about this comparison is left out of the table.
std::vector<Metric> shown(const Comparison& comparison) {
  std::vector<Metric> metrics;
  const bool alike = all_tenants_alike(comparison);
  const auto nobody_has = [&](Metric metric) {
    for (std::size_t column = 0; column < comparison.runs.size(); ++column) {
      if (!is_none(comparison.value(column, metric).median)) return false;
    }
    return true;
  };
  for (std::size_t i = 0; i < kMetrics; ++i) {
    const auto metric = static_cast<Metric>(i);
    const bool of_tenants = metric == Metric::kJainService || metric == Metric::kJainMinute ||
                            metric == Metric::kJainMinuteP10 || metric == Metric::kJainSlowdown ||
                            metric == Metric::kVictimsP99 || metric == Metric::kVictimsTimes;
    if ((!of_tenants || !alike) && !nobody_has(metric)) metrics.push_back(metric);
  }
  return metrics;
}

std::string seeds_text(const Plan& plan) {
  if (plan.seeds == 1) return fmt::format("seed {}", plan.first_seed);
  return fmt::format("seeds {} to {}", plan.first_seed, plan.first_seed + plan.seeds - 1);
}

std::string interval(const std::string& low, const std::string& high) {
  return low == high ? "" : fmt::format(" [{}, {}]", low, high);
}

// 12.3, 1.23, 0.12, 0.012: as much as can be compared, and no more.
std::string times(double ratio) {
  return ratio < 0.1 ? fmt::format("{:.2g}", ratio)
                     : fmt::format("{:.{}f}", ratio, ratio < 10 ? 2 : 1);
}

std::string cell(const Comparison& comparison, std::size_t column, Metric metric) {
  const int digits = text_of(metric).digits;
  const Estimate value = comparison.value(column, metric);
  if (is_none(value.median)) return "-";
  std::string text = number(value.median, digits) +
                     interval(number(value.low, digits), number(value.high, digits));
  if (column == 0) return text;
  const auto ratio = comparison.ratio(column, metric);
  if (!ratio) return text;
  return text + fmt::format("  {}x{}", times(ratio->median),
                            interval(times(ratio->low), times(ratio->high)));
}

std::string lay_out(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += fmt::format("{:{}}  ", row[i], widths[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  return text;
}

std::string decisions_text(const Comparison& comparison) {
  std::string lines;
  for (std::size_t i = 0; i < comparison.decisions.size(); ++i) {
    const Stopwatch& watch = comparison.decisions[i];
    if (watch.count() == 0) continue;
    lines += fmt::format("  {} p50 {:.1f}, p99 {:.1f} us in {} events\n", comparison.columns[i],
                         watch.quantile_us(0.5), watch.quantile_us(0.99), watch.count());
  }
  if (lines.empty()) return lines;
  return "The scheduler's time for an event, by the clock of this machine:\n" + lines;
}

}  // namespace

std::string comparison_text(const Comparison& comparison) {
  const Plan& plan = comparison.plan;
  std::string text = fmt::format("{}: {}\n", comparison.scenario, comparison.meaning);
  const std::string part = comparison.capacity == 0
                               ? std::string()
                               : fmt::format(", {:.0f} % of the capacity of {:.3g}",
                                             100 * plan.load, comparison.capacity);
  text += fmt::format("{:.3g} requests a second{}; {} requests, {}\n\n", comparison.rate, part,
                      plan.requests, seeds_text(plan));
  std::vector<std::vector<std::string>> rows(1, {""});
  for (const std::string& column : comparison.columns) rows.front().push_back(column);
  for (const Metric metric : shown(comparison)) {
    std::vector<std::string> row = {std::string(text_of(metric).heading)};
    for (std::size_t i = 0; i < comparison.columns.size(); ++i) {
      row.push_back(cell(comparison, i, metric));
    }
    rows.push_back(std::move(row));
  }
  text += lay_out(rows);
  const Bounds& bounds = comparison.bounds;
  text += fmt::format(
      "\nMedian of the seeds [95 % interval]{}.\n"
      "Without any queue, with perfect caches, seed {}: first token p50 {:.2f} s, p99 {:.2f} s.\n",
      comparison.columns.size() > 1 ? fmt::format(", and times {}", comparison.columns.front())
                                    : "",
      plan.first_seed, bounds.ttft_p50, bounds.ttft_p99);
  if (!is_none(bounds.swapped_gb)) {
    text += fmt::format("Reading at least {:.0f} GB of models, if requests are served in order.\n",
                        bounds.swapped_gb);
  }
  return text + decisions_text(comparison);
}

namespace {

Estimate times_first(const Capacities& capacities, std::size_t column) {
  std::vector<double> ratios;
  for (std::size_t seed = 0; seed < capacities.rates[column].size(); ++seed) {
    ratios.push_back(capacities.rates[column][seed] / capacities.rates.front()[seed]);
  }
  return estimate(ratios);
}

}  // namespace

std::string capacities_text(const Capacities& capacities) {
  std::vector<std::vector<std::string>> rows = {{"", "requests a second", ""}};
  for (std::size_t i = 0; i < capacities.columns.size(); ++i) {
    const Estimate rate = estimate(capacities.rates[i]);
    std::string ratio;
    if (i > 0) {
      const Estimate compared = times_first(capacities, i);
      ratio = times(compared.median) + "x" + interval(times(compared.low), times(compared.high));
    }
    rows.push_back({capacities.columns[i],
                    number(rate.median, 2) + interval(number(rate.low, 2), number(rate.high, 2)),
                    ratio});
  }
  return fmt::format(
      "{}: the highest rate with {:.0f} % good answers; {}\n\n{}\n"
      "Median of the seeds [95 % interval], and times {}. 0.02: not even when\n"
      "hardly anybody comes.\n",
      capacities.scenario, capacities.goodput, seeds_text(capacities.plan), lay_out(rows),
      capacities.columns.front());
}

namespace {

// The row that is worst, with its ratio; says so where no row has one.
std::string extreme(const Matrix& matrix, std::optional<Estimate> Matrix::Row::* ratio, bool most) {
  const Matrix::Row* found = nullptr;
  const auto of = [&](const Matrix::Row& row) { return (row.*ratio)->median; };
  for (const Matrix::Row& row : matrix.rows) {
    if (!(row.*ratio)) continue;
    if (found == nullptr || (most ? of(row) > of(*found) : of(row) < of(*found))) found = &row;
  }
  if (found == nullptr) return "-";
  return fmt::format("{} in {} at {}", times(of(*found)), found->scenario, found->load);
}

}  // namespace

std::string matrix_text(const Matrix& matrix) {
  std::vector<std::vector<std::string>> rows = {
      {"", "load", "first token p99", "answers a second", "goodput"}};
  const auto text = [](const std::optional<Estimate>& ratio) -> std::string {
    if (!ratio) return "-";
    return times(ratio->median) + interval(times(ratio->low), times(ratio->high));
  };
  for (const Matrix::Row& row : matrix.rows) {
    rows.push_back({row.scenario, fmt::format("{}", row.load), text(row.ttft_p99),
                    text(row.throughput), text(row.goodput)});
  }
  const Plan& plan = matrix.plan;
  return fmt::format(
      "{} times {}; {} requests, {}, median [95 % interval]\n\n{}\n"
      "The worst first token p99: {}.\nThe fewest answers a second: {}.\n"
      "The worst goodput: {}.\n",
      plan.policies[1]->name, plan.policies[0]->name, plan.requests, seeds_text(plan),
      lay_out(rows), extreme(matrix, &Matrix::Row::ttft_p99, true),
      extreme(matrix, &Matrix::Row::throughput, false),
      extreme(matrix, &Matrix::Row::goodput, false));
}

// --- for programs; no name here needs escaping ---

namespace {

std::string json(double value) {
  return std::isfinite(value) ? fmt::format("{:.6g}", value) : std::string("null");
}

std::string json(const Estimate& estimate) {
  if (is_none(estimate.median)) return "null";
  return fmt::format("{{\"median\":{:.6g},\"low\":{:.6g},\"high\":{:.6g}}}", estimate.median,
                     estimate.low, estimate.high);
}

std::string policy_json(const Comparison& comparison, std::size_t column) {
  std::string metrics;
  std::string ratios;
  std::string seeds;
  for (std::size_t i = 0; i < kMetrics; ++i) {
    const auto metric = static_cast<Metric>(i);
    const std::string_view key = text_of(metric).key;
    metrics +=
        fmt::format("{}\"{}\":{}", i == 0 ? "" : ",", key, json(comparison.value(column, metric)));
    const auto ratio = comparison.ratio(column, metric);
    ratios += fmt::format("{}\"{}\":{}", i == 0 ? "" : ",", key, ratio ? json(*ratio) : "null");
    std::string values;
    for (const Metrics& run : comparison.runs[column]) {
      values += (values.empty() ? "" : ",") + json(at(run, metric));
    }
    seeds += fmt::format("{}\"{}\":[{}]", i == 0 ? "" : ",", key, values);
  }
  // Two runs differ in nothing but this, and only who asks for it gets it.
  std::string decisions;
  if (!comparison.decisions.empty() && comparison.decisions[column].count() > 0) {
    const Stopwatch& watch = comparison.decisions[column];
    decisions = fmt::format(",\"event_us\":{{\"events\":{},\"p50\":{:.4g},\"p99\":{:.4g}}}",
                            watch.count(), watch.quantile_us(0.5), watch.quantile_us(0.99));
  }
  return fmt::format(
      "{{\"name\":\"{}\",\"metrics\":{{{}}},\"ratio_to_first\":{{{}}},\"by_seed\":{{{}}}{}}}",
      comparison.columns[column], metrics, ratios, seeds, decisions);
}

}  // namespace

std::string capacities_json(const Capacities& capacities) {
  std::string policies;
  for (std::size_t i = 0; i < capacities.columns.size(); ++i) {
    policies += fmt::format(
        "{}{{\"name\":\"{}\",\"metrics\":{{\"rate\":{}}},\"ratio_to_first\":{{\"rate\":{}}},"
        "\"by_seed\":{{\"rate\":[{:.6g}]}}}}",
        i == 0 ? "" : ",", capacities.columns[i], json(estimate(capacities.rates[i])),
        json(times_first(capacities, i)), fmt::join(capacities.rates[i], ","));
  }
  const Plan& plan = capacities.plan;
  return fmt::format(
      "{{\"scenario\":\"{}\",\"goodput\":{:.6g},\"requests\":{},\"first_seed\":{},\"seeds\":{},"
      "\"policies\":[{}]}}\n",
      capacities.scenario, capacities.goodput, plan.requests, plan.first_seed, plan.seeds,
      policies);
}

// A ratio that does not exist is left out.
std::string matrix_json(const Matrix& matrix) {
  std::string rows;
  for (const Matrix::Row& row : matrix.rows) {
    rows += fmt::format("{}{{\"scenario\":\"{}\",\"load\":{:.6g}", rows.empty() ? "" : ",",
                        row.scenario, row.load);
    const auto add = [&](Metric metric, const std::optional<Estimate>& ratio) {
      if (ratio) rows += fmt::format(",\"{}\":{}", text_of(metric).key, json(*ratio));
    };
    add(Metric::kTtftP99, row.ttft_p99);
    add(Metric::kThroughput, row.throughput);
    add(Metric::kGoodput, row.goodput);
    rows += '}';
  }
  const Plan& plan = matrix.plan;
  return fmt::format(
      "{{\"policy\":\"{}\",\"times\":\"{}\",\"requests\":{},\"first_seed\":{},\"seeds\":{},"
      "\"rows\":[{}]}}\n",
      plan.policies[1]->name, plan.policies[0]->name, plan.requests, plan.first_seed, plan.seeds,
      rows);
}

std::string comparison_json(const Comparison& comparison) {
  const Plan& plan = comparison.plan;
  std::string all;
  for (std::size_t i = 0; i < comparison.columns.size(); ++i) {
    all += (i == 0 ? "" : ",") + policy_json(comparison, i);
  }
  const Bounds& bounds = comparison.bounds;
  return fmt::format(
      "{{\"scenario\":\"{}\",\"capacity\":{:.6g},\"rate\":{:.6g},\"load\":{:.6g},\"requests\":{},"
      "\"first_seed\":{},\"seeds\":{},\"bounds\":{{\"ttft_p50_s\":{:.6g},\"ttft_p99_s\":{:.6g},"
      "\"reusable_tokens\":{:.0f},\"read_gb\":{}}},\"policies\":[{}]}}\n",
      comparison.scenario, comparison.capacity, comparison.rate, plan.load, plan.requests,
      plan.first_seed, plan.seeds, bounds.ttft_p50, bounds.ttft_p99, bounds.reusable_tokens,
      json(bounds.swapped_gb), all);
}

// --- the drawing ---

namespace {

constexpr std::array<Metric, 6> kDrawn = {Metric::kTtftP50, Metric::kTtftP99, Metric::kGoodput,
                                          Metric::kLoads,   Metric::kReused,  Metric::kLost};
constexpr double kNames = 190;  // pixels
constexpr double kBars = 260;
constexpr double kValues = 90;
constexpr double kRow = 22;
constexpr double kHead = 34;
constexpr double kTop = 64;
constexpr std::string_view kBar = "#4c78a8";
constexpr std::string_view kFirstBar = "#9aa5b1";

std::string word(double x, double y, std::string_view more, std::string_view text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" {}>{}</text>\n", x, y, more, text);
}

std::string panel(const Comparison& comparison, Metric metric, double left, double top) {
  const MetricText& text = text_of(metric);
  std::vector<Estimate> values;
  double most = 1e-9;
  for (std::size_t i = 0; i < comparison.runs.size(); ++i) {
    values.push_back(comparison.value(i, metric));
    most = std::max({most, values.back().high, values.back().median});
  }
  std::string svg =
      word(left, top + 16, "font-weight=\"bold\"",
           fmt::format("{} ({} is better)", text.heading, text.more_is_better ? "more" : "less"));
  const double zero = left + kNames;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double y = top + kHead + static_cast<double>(i) * kRow;
    const double length = values[i].median / most * kBars;
    const double low = zero + values[i].low / most * kBars;
    const double high = zero + values[i].high / most * kBars;
    svg += word(zero - 8, y + 11, "text-anchor=\"end\"", comparison.columns[i]);
    svg += fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"14\" fill=\"{}\"/>\n", zero, y,
        length, i == 0 ? kFirstBar : kBar);
    svg += fmt::format(
        "<path d=\"M{0:.1f} {2:.1f}H{1:.1f}M{0:.1f} {3:.1f}v8M{1:.1f} {3:.1f}v8\" "
        "stroke=\"#222\" fill=\"none\"/>\n",
        low, high, y + 7, y + 3);
    svg +=
        word(std::max(high, zero + length) + 6, y + 11, "", number(values[i].median, text.digits));
  }
  return svg;
}

}  // namespace

std::string comparison_svg(const Comparison& comparison) {
  const double width = kNames + kBars + kValues;
  const double height = kHead + kRow * static_cast<double>(comparison.runs.size()) + 14;
  const double all_width = 2 * width + 20;
  const double all_height = kTop + 3 * height;
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
      "height=\"{1:.0f}\" font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
      all_width, all_height);
  svg += word(20, 24, "font-size=\"16\" font-weight=\"bold\"", comparison.scenario);
  svg += word(20, 44, "fill=\"#444\"",
              fmt::format("{}; {:.3g} requests a second; {} seeds, median and 95 % interval",
                          comparison.meaning, comparison.rate, comparison.plan.seeds));
  for (std::size_t i = 0; i < kDrawn.size(); ++i) {
    const double left = 20 + static_cast<double>(i % 2) * width;
    const double top = kTop + static_cast<double>(i / 2) * height;
    svg += panel(comparison, kDrawn[i], left, top);
  }
  return svg + "</svg>\n";
}

}  // namespace drover::sim
