// `drover sim`: the command line of src/sim. Names are checked here, files are written here.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "app/verbs.h"
#include "config/words.h"
#include "sim/report.h"

namespace drover::app {
namespace {

std::string list() {
  std::string text;
  for (const sim::ScenarioLine& line : sim::scenarios()) {
    text += fmt::format("{:30}  {}\n", line.name, line.meaning);
  }
  return text;
}

std::string guess(std::string_view word, const std::vector<std::string>& known) {
  const std::vector<std::string_view> views(known.begin(), known.end());
  const auto near = config::nearest(word, views);
  return near ? fmt::format("; did you mean {}?", *near) : std::string();
}

cli::Printed unknown_scenario(const std::string& name) {
  std::vector<std::string> names;
  for (const sim::ScenarioLine& line : sim::scenarios()) names.push_back(line.name);
  std::string others;
  for (const std::string& each : names) {
    if (std::ranges::count(each, '-') < 2) others += (others.empty() ? "" : ", ") + each;
  }
  return {cli::kWrongUse, "",
          fmt::format("drover: unknown scenario {}{}\n"
                      "There are MEMORY-ARRIVALS-TALK-TENANTS with\n"
                      "  MEMORY    fits, over, tight\n"
                      "  ARRIVALS  poisson, gamma, bursts, day, shift\n"
                      "  TALK      single, sessions, agents\n"
                      "  TENANTS   one, ten, aggressor\n"
                      "and {}. drover sim --list explains them.\n",
                      config::quote(name), guess(name, names), others)};
}

cli::Printed unknown_policy(const std::string& name) {
  std::vector<std::string> names;
  std::string lines;
  for (const sim::Policy& policy : sim::policies()) {
    names.emplace_back(policy.name);
    lines += fmt::format("  {:17} {}\n", policy.name, policy.meaning);
  }
  return {cli::kWrongUse, "",
          fmt::format("drover: unknown policy {}{}\nThere are\n{}", config::quote(name),
                      guess(name, names), lines)};
}

// One line that is written over and over, and gone in the end.
class Progress {
 public:
  Progress() : shown_(::isatty(STDERR_FILENO) == 1) {}
  ~Progress() { say(""); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void say(const std::string& line) const {
    if (shown_) fmt::print(stderr, "\r\033[K{}", line);
  }

 private:
  bool shown_;
};

// Empty: written. Otherwise what went wrong.
std::string write(const std::optional<std::string>& path, const std::string& text) {
  if (!path) return {};
  std::ofstream file(*path, std::ios::binary);
  file << text;
  file.close();
  return file ? std::string() : fmt::format("drover: {} cannot be written\n", config::quote(*path));
}

}  // namespace

cli::Printed run_sim(const cli::SimCommand& command) {
  if (!command.scenario) return {cli::kDone, list(), ""};
  const std::optional<sim::Scenario> scenario = sim::find_scenario(*command.scenario);
  if (!scenario) return unknown_scenario(*command.scenario);
  sim::Plan plan;
  plan.seeds = command.seeds;
  plan.requests = command.requests;
  plan.load = command.load;
  for (const std::string& name : command.policies) {
    const sim::Policy* policy = sim::find_policy(name);
    if (policy == nullptr) return unknown_policy(name);
    plan.policies.push_back(policy);
  }
  sim::Comparison comparison;
  {
    const Progress progress;
    comparison =
        sim::compare(*scenario, plan, [&](const std::string& line) { progress.say(line); });
  }
  std::string wrong;
  if (command.json_file) wrong += write(command.json_file, sim::comparison_json(comparison));
  if (command.svg_file) wrong += write(command.svg_file, sim::comparison_svg(comparison));
  return {wrong.empty() ? cli::kDone : cli::kFailed, sim::comparison_text(comparison), wrong};
}

}  // namespace drover::app
