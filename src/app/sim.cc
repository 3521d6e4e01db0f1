// `drover sim`: the command line of src/sim. Names are checked here, files are written here.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <sstream>

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
std::string write(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  return file ? std::string() : fmt::format("drover: {} cannot be written\n", config::quote(path));
}

cli::Printed show(const cli::SimCommand& command, const sim::Comparison& comparison) {
  std::string wrong;
  if (command.json_file) wrong += write(*command.json_file, sim::comparison_json(comparison));
  if (command.svg_file) wrong += write(*command.svg_file, sim::comparison_svg(comparison));
  return {wrong.empty() ? cli::kDone : cli::kFailed, sim::comparison_text(comparison), wrong};
}

// --- recorded traffic ---

cli::Printed refused(std::string message) {
  return {cli::kFailed, "", fmt::format("drover: {}\n", message)};
}

std::string no_gpu(const std::string& text) {
  return fmt::format(
      "{} is no GPU: say its memory (24GB) or one of gtx1080, rtx4080, rtx3090, "
      "rtx4090, a100-80gb, h100-80gb",
      config::quote(text));
}

// The GPUs that were named, else the usual ones; the models of the trace, else the usual ones.
Result<sim::Fleet> fleet_for(const cli::SimCommand& command, const sim::Trace& trace) {
  const auto wrong = [](std::string message) {
    return Error{ErrorKind::kConfig, Origin::kClient, Retry::kNever, std::move(message)};
  };
  sim::Fleet fleet = sim::mixed_fleet(0.9);
  if (!command.gpus.empty()) {
    fleet.gpus.clear();
    fleet.hosts.assign(command.gpus.size(), 0);
    for (const std::string& text : command.gpus) {
      const std::optional<sim::GpuKind> gpu = sim::gpu_from_text(text);
      if (!gpu) return wrong(no_gpu(text));
      fleet.gpus.push_back(*gpu);
    }
  }
  if (!trace.models.empty()) {
    fleet.models.clear();
    for (const std::string& name : trace.models) fleet.models.push_back(sim::model_from_name(name));
  }
  const auto fits_nowhere = [&](const sim::Model& model) {
    const auto index = static_cast<sim::ModelIndex>(&model - fleet.models.data());
    for (sim::InstanceIndex i = 0; i < fleet.gpus.size(); ++i) {
      if (fleet.fits(i, index)) return false;
    }
    return true;
  };
  // Made-up models can be left out; those of the trace were asked for.
  if (trace.models.empty()) {
    std::vector<sim::Model> fitting;
    for (const sim::Model& model : fleet.models) {
      if (!fits_nowhere(model)) fitting.push_back(model);
    }
    fleet.models = std::move(fitting);
    if (fleet.models.empty()) return wrong("no model fits on any of these GPUs");
    return fleet;
  }
  for (const sim::Model& model : fleet.models) {
    if (!fits_nowhere(model)) continue;
    return wrong(
        fmt::format("{} takes about {:.0f} GB, and no GPU of this fleet has as much: name "
                    "the GPUs with --gpu",
                    config::quote(model.name), model.vram_gb()));
  }
  return fleet;
}

cli::Printed compare_trace(const cli::SimCommand& command, const sim::Plan& plan) {
  std::ifstream file(*command.trace_file, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) return refused(fmt::format("{} cannot be read", config::quote(*command.trace_file)));
  const Result<sim::Trace> trace = sim::read_trace(text.view());
  if (!trace) return refused(fmt::format("{}: {}", *command.trace_file, trace.error().message));
  const Result<sim::Fleet> fleet = fleet_for(command, *trace);
  if (!fleet) return refused(fleet.error().message);
  std::optional<sim::Fleet> larger;
  if (command.add_gpu) {
    const std::optional<sim::GpuKind> gpu = sim::gpu_from_text(*command.add_gpu);
    if (!gpu) return refused(no_gpu(*command.add_gpu));
    larger = *fleet;
    larger->gpus.push_back(*gpu);
    larger->hosts.push_back(larger->hosts.back());
  }
  const auto compared = [&] {
    const Progress progress;
    return sim::replay(*trace, *fleet, larger, plan,
                       [&](const std::string& line) { progress.say(line); });
  };
  return show(command, compared());
}

cli::Printed run_matrix(const cli::SimCommand& command, const sim::Plan& plan) {
  const std::vector<sim::Scenario> all = sim::scenarios_like(*command.matrix);
  if (all.empty()) return unknown_scenario(*command.matrix);
  const std::vector<double> loads =
      command.load ? std::vector{*command.load} : std::vector{0.5, 0.9};
  const auto compared = [&] {
    const Progress progress;
    return sim::matrix_of(all, loads, plan, [&](const std::string& line) { progress.say(line); });
  };
  const sim::Matrix matrix = compared();
  std::string wrong;
  if (command.json_file) wrong = write(*command.json_file, sim::matrix_json(matrix));
  return {wrong.empty() ? cli::kDone : cli::kFailed, sim::matrix_text(matrix), wrong};
}

}  // namespace

cli::Printed run_sim(const cli::SimCommand& command) {
  sim::Plan plan;
  plan.seeds = command.seeds;
  plan.requests = command.requests;
  plan.first_seed = command.first_seed;
  if (command.load) plan.load = *command.load;
  if (command.time) plan.clock = [] { return std::chrono::steady_clock::now().time_since_epoch(); };
  for (const std::string& name : command.policies) {
    const sim::Policy* policy = sim::find_policy(name);
    if (policy == nullptr) return unknown_policy(name);
    plan.policies.push_back(policy);
  }
  if (command.trace_file) return compare_trace(command, plan);
  if (command.matrix) return run_matrix(command, plan);
  if (!command.scenario) return {cli::kDone, list(), ""};
  const std::optional<sim::Scenario> scenario = sim::find_scenario(*command.scenario);
  if (!scenario) return unknown_scenario(*command.scenario);
  if (command.capacity) {
    const auto found = [&] {
      const Progress progress;
      return sim::capacities_of(*scenario, plan,
                                [&](const std::string& line) { progress.say(line); });
    };
    const sim::Capacities capacities = found();
    std::string wrong;
    if (command.json_file) wrong = write(*command.json_file, sim::capacities_json(capacities));
    return {wrong.empty() ? cli::kDone : cli::kFailed, sim::capacities_text(capacities), wrong};
  }
  const auto compared = [&] {
    const Progress progress;
    return sim::compare(*scenario, plan, [&](const std::string& line) { progress.say(line); });
  };
  return show(command, compared());
}

}  // namespace drover::app
