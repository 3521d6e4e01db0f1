#include "config/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "config/draft.h"
#include "config/overlay.h"

namespace drover::config {
namespace {

Problem at(const Spot& spot, std::string message) {
  return {spot.source, spot.place.line, spot.place.column, std::move(message)};
}

// File order; what has no line keeps its place behind (flags come after the file).
void sort_by_place(std::vector<Problem>& problems) {
  // The index keeps the order of equals: libstdc++'s stable_sort uses what clang calls deprecated.
  using Order = std::tuple<bool, int, int, std::size_t>;
  std::vector<Order> orders;
  for (std::size_t i = 0; i < problems.size(); ++i) {
    orders.emplace_back(problems[i].line == 0, problems[i].line, problems[i].column, i);
  }
  std::sort(orders.begin(), orders.end());
  std::vector<Problem> sorted;
  for (const Order& order : orders) sorted.push_back(std::move(problems[std::get<3>(order)]));
  problems = std::move(sorted);
}

LoadResult finish(Draft draft) {
  check_together(draft);
  LoadResult out;
  out.config = std::move(draft.config);
  out.errors = std::move(draft.errors);
  out.warnings = std::move(draft.warnings);
  sort_by_place(out.errors);
  if (out.errors.size() > kMaxProblems) {
    const std::size_t more = out.errors.size() - kMaxProblems;
    out.errors.resize(kMaxProblems);
    out.errors.push_back({"", 0, 0, fmt::format("and {} more; correct these first", more)});
  }
  return out;
}

}  // namespace

std::string Problem::render() const {
  if (source.empty()) return message;
  if (line == 0) return fmt::format("{}: {}", source, message);
  return fmt::format("{}:{}:{}: {}", source, line, column, message);
}

void Draft::refuse(const Spot& spot, std::string message) {
  errors.push_back(at(spot, std::move(message)));
}

void Draft::warn(const Spot& spot, std::string message) {
  warnings.push_back(at(spot, std::move(message)));
}

Spot Draft::where(std::string_view path) const {
  const auto found = written.find(path);
  return found == written.end() ? Spot{} : found->second;
}

LoadResult load(std::string_view text, std::string_view file_name) {
  Draft draft;
  read_file(draft, text, file_name);
  return finish(std::move(draft));
}

LoadResult assemble(const std::optional<FileText>& file, std::span<const Setting> settings) {
  Draft draft;
  if (file) read_file(draft, file->text, file->name);
  const Setting* before = nullptr;
  for (const Setting& setting : settings) {
    const bool again =
        before != nullptr && before->key == setting.key && before->source == setting.source;
    apply_setting(draft, setting, again ? Repeat::kAgain : Repeat::kFirst);
    before = &setting;
  }
  return finish(std::move(draft));
}

}  // namespace drover::config
