// The comparison with other proxies (run), and its two tools alone (backend, load).

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "results.h"
#include "run.h"
#include "table.h"

namespace {

using namespace drover;
using namespace drover::bench;

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kWrongUse = 2;

std::string own_folder() { return std::filesystem::read_symlink("/proc/self/exe").parent_path(); }

// A build lies in build/PRESET of the tree that holds the configurations.
std::string default_configurations() { return own_folder() + "/../../bench/peers"; }

struct Arguments {
  RunOptions options;
  std::vector<std::string> only;
  std::vector<std::string> peers;
  std::vector<std::string> more;  // name=PATH
  std::string drover = own_folder() + "/drover";
  double foreign_percent = 5;
  bool quick = false;
  bool check = false;
};

void declare(CLI::App& run, Arguments& a) {
  a.options.configurations = default_configurations();
  run.add_option("--rounds", a.options.rounds, "Turns of every peer")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  run.add_option("--seconds", a.options.timing.seconds, "Measured time of a sample")
      ->check(CLI::Range(0.05, 600.0))
      ->capture_default_str();
  run.add_option("--only", a.only, "Scenarios, separated by commas")->delimiter(',');
  run.add_option("--peers", a.peers, "Of the standard peers these, separated by commas")
      ->delimiter(',');
  run.add_option("--peer", a.more, "Another build of drover, as NAME=PATH; may be repeated");
  run.add_option("--drover", a.drover, "The drover to measure")->capture_default_str();
  run.add_option("--foreign", a.foreign_percent, "Percent of a core that others may use")
      ->check(CLI::Range(0.0, 10000.0))
      ->capture_default_str();
  run.add_option("--configurations", a.options.configurations, "Folder of the peers' files")
      ->capture_default_str();
  run.add_flag("--quick", a.quick, "One short round: does everything work? Figures mean nothing");
  run.add_flag("--check", a.check, "Exit with 1 when drover misses a bound");
}

// Empty when all is well; else what was wrong with the words.
std::string complete(Arguments& a) {
  RunOptions& options = a.options;
  const std::vector<Peer> standard = standard_peers(a.drover);
  for (const std::string& name : a.peers) {
    if (std::none_of(standard.begin(), standard.end(),
                     [&](const Peer& peer) { return peer.name == name; })) {
      return fmt::format("no peer '{}'", name);
    }
  }
  for (const Peer& peer : standard) {
    const bool wanted =
        a.peers.empty() || std::find(a.peers.begin(), a.peers.end(), peer.name) != a.peers.end();
    if (wanted) options.peers.push_back(peer);
  }
  for (const std::string& word : a.more) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0) return "--peer wants NAME=PATH";
    options.peers.push_back({word.substr(0, equals), PeerKind::kDrover, word.substr(equals + 1)});
  }
  for (const Scenario& scenario : scenarios()) {
    const bool wanted =
        a.only.empty() || std::find(a.only.begin(), a.only.end(), scenario.name) != a.only.end();
    if (wanted) options.chosen.push_back(&scenario);
  }
  if (!a.only.empty() && options.chosen.size() != a.only.size()) {
    return "--only names a scenario that does not exist";
  }
  options.foreign_limit = a.foreign_percent / 100;
  if (a.quick) {
    options.rounds = 1;
    options.timing = {.seconds = 0.2, .held = {.few = 100, .many = 300}};
    options.foreign_limit = 1000;
  }
  return {};
}

void tell(const Sample& sample) {
  const LoadReport& report = sample.report;
  const char* word = sample.clean ? "" : report.wrong > 0 ? ", WRONG" : ", disturbed";
  std::fprintf(stderr, "round %u  %-16s %-16s foreign load %4.1f %%%s\n", sample.round + 1,
               sample.scenario->name.data(), sample.peer.name.c_str(), sample.foreign * 100, word);
}

int run(Arguments& a) {
  const std::string problem = complete(a);
  if (!problem.empty()) {
    std::fprintf(stderr, "bench_data_plane: %s\n", problem.c_str());
    return kWrongUse;
  }
  raise_descriptors();
  const Result<std::vector<Sample>> samples = run_rounds(a.options, tell);
  if (!samples) {
    std::fprintf(stderr, "bench_data_plane: %s\n", samples.error().message.c_str());
    return kFailed;
  }
  const std::vector<Finding> all = findings(*samples);
  std::fputs(table(*samples, all).c_str(), stdout);
  const bool wrong = std::any_of(samples->begin(), samples->end(),
                                 [](const Sample& sample) { return sample.report.wrong > 0; });
  const bool missed = std::any_of(all.begin(), all.end(), [](const Finding& finding) {
    const Verdict verdict = verdict_of(finding);
    return verdict == Verdict::kMissed || verdict == Verdict::kUnknown;
  });
  return wrong || (a.check && missed) ? kFailed : kDone;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Compares drover with other proxies in front of one backend.");
  app.require_subcommand(1);
  Arguments arguments;
  CLI::App* run_verb = app.add_subcommand("run", "Measure, and print a table");
  declare(*run_verb, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kWrongUse;
  }
  return run(arguments);
}
