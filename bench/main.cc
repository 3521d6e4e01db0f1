// The comparison with other proxies (run), and its two tools alone (backend, load).

#include <fmt/format.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "record.h"
#include "table.h"

namespace {

using namespace drover;
using namespace drover::bench;

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kWrongUse = 2;

std::string own_folder() { return std::filesystem::read_symlink("/proc/self/exe").parent_path(); }

// A build lies in build/PRESET of the tree that has the configurations.
std::string tree_folder(const char* name) {
  return (std::filesystem::path(own_folder()) / "../../bench" / name).lexically_normal();
}

struct RunArguments {
  RunOptions options;
  std::vector<std::string> only;
  std::vector<std::string> peers;
  std::vector<std::string> more;  // name=PATH
  std::string drover = own_folder() + "/drover";
  std::string json;
  std::string history = tree_folder("history/runs.jsonl");
  double foreign_percent = 5;
  bool quick = false;
  bool keep = false;
  bool check = false;
};

struct LoadArguments {
  LoadPlan plan;
  LoopLoad load;
  double seconds = 3;
  bool stream = false;
  bool model_last = false;
};

struct BackendArguments {
  std::uint16_t port = 0;
  BackendOptions options;
  double interval_ms = 20;
};

const auto kTimes = CLI::Range(0.05, 600.0);

void declare(CLI::App& verb, RunArguments& a) {
  a.options.configurations = tree_folder("peers");
  verb.add_option("--rounds", a.options.rounds, "Turns of every peer")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  verb.add_option("--seconds", a.options.timing.seconds, "Measured time of a sample")
      ->check(kTimes)
      ->capture_default_str();
  verb.add_option("--only", a.only, "Scenarios, separated by commas")->delimiter(',');
  verb.add_option("--peers", a.peers, "Of the standard peers only these, separated by commas")
      ->delimiter(',');
  verb.add_option("--peer", a.more, "Another build of drover, as NAME=PATH; may be repeated")
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  verb.add_option("--drover", a.drover, "The drover to measure")->capture_default_str();
  verb.add_option("--json", a.json, "Write everything into this file");
  verb.add_option("--history", a.history, "A whole run adds its figures as one line to this file")
      ->capture_default_str();
  verb.add_flag("--keep", a.keep, "Add the line though this is a part of a run");
  verb.add_option("--foreign", a.foreign_percent, "Percent of a core that others may use")
      ->check(CLI::Range(0.0, 100'000.0))
      ->capture_default_str();
  verb.add_option("--configurations", a.options.configurations, "Folder of the peers' files")
      ->capture_default_str();
  verb.add_flag("--quick", a.quick, "One short round: does everything work? No figure counts");
  verb.add_flag("--check", a.check, "Exit with 1 when drover misses a bound");
}

void declare(CLI::App& verb, LoadArguments& a) {
  verb.add_option("--port", a.plan.port, "Of 127.0.0.1")->required();
  verb.add_option("--connections", a.load.connections, "At once")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  verb.add_option("--seconds", a.seconds, "Measured time")->check(kTimes)->capture_default_str();
  verb.add_option("--body", a.plan.question.body_bytes, "Bytes of a request's body")
      ->check(CLI::Range(256, 100'000'000))
      ->capture_default_str();
  verb.add_option("--proxy", a.plan.proxy, "Process whose CPU time is told");
  verb.add_flag("--stream", a.stream, "Ask for streams");
  verb.add_flag("--model-last", a.model_last, "The model's name stands at the body's end");
}

void declare(CLI::App& verb, BackendArguments& a) {
  verb.add_option("--port", a.port, "Of 127.0.0.1")->required();
  verb.add_option("--records", a.options.records, "Of a stream")
      ->check(CLI::Range(1, 999'999))
      ->capture_default_str();
  verb.add_option("--interval", a.interval_ms, "Milliseconds between two records of a stream")
      ->check(CLI::Range(0.001, 1e6))
      ->capture_default_str();
}

bool is_among(std::string_view word, const std::vector<std::string>& words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::string choose_peers(const RunArguments& a, std::vector<Peer>& peers) {
  std::size_t chosen = 0;
  for (const Peer& peer : standard_peers(a.drover)) {
    if (!a.peers.empty() && !is_among(peer.name, a.peers)) continue;
    peers.push_back(peer);
    ++chosen;
  }
  if (!a.peers.empty() && chosen != a.peers.size()) {
    return "--peers takes of these: direct, haproxy, haproxy-equal, nginx, drover";
  }
  for (const std::string& word : a.more) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0) return "--peer wants NAME=PATH, not " + word;
    const std::string name = word.substr(0, equals);
    if (std::any_of(peers.begin(), peers.end(), [&](const Peer& p) { return p.name == name; })) {
      return "there is a peer '" + name + "' already; --peer wants another name";
    }
    peers.push_back({name, PeerKind::kDrover, word.substr(equals + 1)});
  }
  return {};
}

std::string missing_program(const std::vector<Peer>& peers) {
  for (const Peer& peer : peers) {
    if (peer.program.empty() || ::access(peer.program.c_str(), X_OK) == 0) continue;
    return fmt::format("{} is no program; install or build {}, or choose with --peers",
                       peer.program, peer.name);
  }
  return {};
}

std::string choose_scenarios(const RunArguments& a, std::vector<const Scenario*>& chosen) {
  std::string names;
  for (const Scenario& scenario : scenarios()) {
    names += names.empty() ? "" : ", ";
    names += scenario.name;
    if (a.only.empty() || is_among(scenario.name, a.only)) chosen.push_back(&scenario);
  }
  if (a.only.empty() || chosen.size() == a.only.size()) return {};
  return "--only takes of these: " + names;
}

void make_quick(RunOptions& options) {
  options.rounds = 1;
  options.timing = {.seconds = 0.15, .held = {.few = 100, .many = 300}};
  options.foreign_limit = 1000;  // cores: whatever else runs, answers have to be right
}

void tell(const Sample& sample) {
  const char* word = "";
  if (!sample.clean) word = sample.report.wrong > 0 ? ", WRONG" : ", disturbed";
  std::fprintf(stderr, "round %u  %-16s %-16s foreign load %4.1f %%%s\n", sample.round + 1,
               sample.scenario->name.data(), sample.peer.name.c_str(), sample.foreign * 100, word);
}

// Are these all peers and scenarios, and rounds enough for a median?
bool is_whole(const RunOptions& options) {
  constexpr unsigned kRounds = 3;
  return options.rounds >= kRounds && options.chosen.size() == scenarios().size() &&
         options.peers.size() >= standard_peers({}).size();
}

// False when a file could not be written.
bool keep(const RunArguments& a, const std::string& command, const std::vector<Sample>& samples,
          const std::vector<Finding>& all) {
  const Setting setting = setting_of(a.options, command);
  bool kept = true;
  if (!a.json.empty()) {
    std::ofstream file(a.json);
    file << json_document(setting, samples, all);
    kept = file.flush().good();
    if (!kept) std::fprintf(stderr, "bench_data_plane: %s cannot be written\n", a.json.c_str());
  }
  const bool lasts = is_whole(a.options) || (a.keep && !a.quick);
  if (!lasts) return kept;
  std::error_code error;  // the file says so if there is no folder for it
  std::filesystem::create_directories(std::filesystem::path(a.history).parent_path(), error);
  std::ofstream file(a.history, std::ios::app);
  file << history_line(setting, all);
  const bool added = file.flush().good();
  std::fprintf(stderr, added ? "added a line to %s\n" : "bench_data_plane: %s cannot be written\n",
               a.history.c_str());
  return kept && added;
}

int run(RunArguments& a, const std::string& command) {
  RunOptions& options = a.options;
  std::string problem = choose_peers(a, options.peers);
  if (problem.empty()) problem = choose_scenarios(a, options.chosen);
  if (!problem.empty()) {
    std::fprintf(stderr, "bench_data_plane: %s\n", problem.c_str());
    return kWrongUse;
  }
  problem = missing_program(options.peers);
  if (!problem.empty()) {
    std::fprintf(stderr, "bench_data_plane: %s\n", problem.c_str());
    return kFailed;
  }
  options.foreign_limit = a.foreign_percent / 100;
  if (a.quick) make_quick(options);
  raise_descriptors();
  const std::vector<Sample> samples = run_rounds(options, tell);
  const std::vector<Finding> all = findings(samples);
  std::fputs(table(samples, all).c_str(), stdout);
  const bool kept = keep(a, command, samples, all);
  const bool wrong = std::any_of(samples.begin(), samples.end(),
                                 [](const Sample& sample) { return sample.report.wrong > 0; });
  const bool missed = std::any_of(all.begin(), all.end(), [](const Finding& finding) {
    const Verdict verdict = verdict_of(finding);
    return verdict == Verdict::kMissed || verdict == Verdict::kUnknown;
  });
  return wrong || !kept || (a.check && missed) ? kFailed : kDone;
}

int load(LoadArguments& a) {
  raise_descriptors();
  a.plan.cores = allowed_cores();
  if (a.stream) a.plan.question.answer = Answer::kStream;
  if (a.model_last) a.plan.question.model = ModelPlace::kLast;
  a.load.measured_ns = static_cast<std::uint64_t>(a.seconds * static_cast<double>(kSecond));
  a.load.opening_ns = a.stream ? kSecond / 10'000 : 0;
  a.plan.how = a.load;
  const LoadReport report = run_load(a.plan);
  fmt::print("{}\n", report_json(report));
  return report.wrong > 0 ? kFailed : kDone;
}

int serve(BackendArguments& a) {
  raise_descriptors();
  a.options.interval_ns = static_cast<std::uint64_t>(a.interval_ms * 1e6);
  run_backend(listen_loopback(a.port), a.options);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Compares drover with other proxies in front of one backend (bench/README.md).");
  app.require_subcommand(1);
  RunArguments run_arguments;
  LoadArguments load_arguments;
  BackendArguments backend_arguments;
  CLI::App* run_verb = app.add_subcommand("run", "Measure all of them, and print a table");
  CLI::App* load_verb = app.add_subcommand("load", "Ask whoever listens; print one line of JSON");
  CLI::App* backend_verb = app.add_subcommand("backend", "Be the backend, until killed");
  declare(*run_verb, run_arguments);
  declare(*load_verb, load_arguments);
  declare(*backend_verb, backend_arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kWrongUse;
  }
  if (run_verb->parsed()) {
    return run(run_arguments, fmt::format("{}", fmt::join(argv + 1, argv + argc, " ")));
  }
  return load_verb->parsed() ? load(load_arguments) : serve(backend_arguments);
}
