#include "run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>

#include "backend.h"

namespace drover::bench {
namespace {

constexpr unsigned kAttempts = 3;

// A folder that lives as long as this.
class Directory {
 public:
  Directory() : path_(std::filesystem::temp_directory_path() / "drover-bench-XXXXXX") {
    if (::mkdtemp(path_.data()) == nullptr) die(path_);
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct Places {
  Cores proxy, backend, client;
  Cores all() const {
    Cores all = proxy;
    all.insert(all.end(), backend.begin(), backend.end());
    all.insert(all.end(), client.begin(), client.end());
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
  }
};

// With four cores or more the backend and the client have their own.
Places places(Layout layout, const Cores& cores) {
  const Cores first = {cores[0]};
  if (layout == Layout::kOneCore || cores.size() == 1) return {first, first, first};
  const bool many = cores.size() >= 4;
  const Cores backend = {cores[many ? 2 : 1]};
  const Cores client = {cores[many ? 3 : 1]};
  if (layout == Layout::kApart) return {first, backend, client};
  const Cores two = {cores[0], cores[1]};
  return {two, many ? backend : two, many ? client : two};
}

// The load is made by a process of its own, whose report comes through a pipe.
LoadReport load_in_child(const Cores& cores, const LoadPlan& plan) {
  std::array<int, 2> pipe{};
  if (::pipe(pipe.data()) != 0) die("pipe");
  const Fd from(pipe[0]);
  Fd to(pipe[1]);
  const Child child = run_function(cores, [&] {
    const LoadReport report = run_load(plan);
    if (::write(to.get(), &report, sizeof(report)) != sizeof(report)) die("write");
  });
  to = Fd();
  LoadReport report;
  if (::read(from.get(), &report, sizeof(report)) != sizeof(report)) {
    report = LoadReport();
    report.wrong = 1;
    fmt::format("the load client ended early").copy(report.problem, sizeof(report.problem) - 1);
  }
  return report;
}

class Bench {
 public:
  Bench(const RunOptions& options, const Tell& tell)
      : options_(options), tell_(tell), cores_(allowed_cores()) {}

  void give_turns(const Scenario& scenario, const std::vector<Peer>& peers, unsigned round) {
    std::uint64_t interval = scenario.backend.interval_ns;
    if (scenario.busy > 0) interval = busy_interval(scenario);
    for (const Peer& peer : peers) measure(scenario, interval, peer, round);
  }

  std::vector<Sample> take_samples() { return std::move(samples_); }

 private:
  // What a record costs depends on how many come, so one look does not do.
  std::uint64_t busy_interval(const Scenario& scenario) const {
    constexpr int kLooks = 3;
    const auto bare = std::ranges::find(options_.peers, PeerKind::kHaproxyBare, &Peer::kind);
    Sample look;
    look.scenario = &scenario;
    look.peer = bare != options_.peers.end() ? *bare : options_.peers.front();
    look.interval_ns = scenario.backend.interval_ns;
    for (int i = 0; i < kLooks; ++i) {
      take(look);
      const LoadReport& report = look.report;
      if (report.wrong > 0 || report.seconds <= 0) break;
      const Places where = places(scenario.layout, cores_);
      const double tools = report.tools_ns / (where.backend == where.client ? 1 : 2);
      const double busy = std::max(report.proxy_ns, tools) / 1e9 / report.seconds;
      const double interval = static_cast<double>(look.interval_ns) * busy / scenario.busy;
      look.interval_ns = static_cast<std::uint64_t>(std::max(interval, 1e6));
    }
    return look.interval_ns;
  }

  // Until a sample was not disturbed. A wrong answer is not taken back by a right one.
  void measure(const Scenario& scenario, std::uint64_t interval, const Peer& peer, unsigned round) {
    for (unsigned attempt = 0; attempt < kAttempts; ++attempt) {
      Sample sample;
      sample.scenario = &scenario;
      sample.interval_ns = interval;
      sample.peer = peer;
      sample.round = round;
      sample.attempt = attempt;
      take(sample);
      tell_(sample);
      samples_.push_back(sample);
      if (sample.clean || sample.report.wrong > 0) break;
    }
  }

  void take(Sample& sample) const {
    Scenario scenario = *sample.scenario;
    scenario.backend.interval_ns = sample.interval_ns;
    const Places where = places(scenario.layout, cores_);
    const Directory directory;
    Fd listener = listen_loopback();
    const std::uint16_t backend_port = port_of(listener);
    const Child backend =
        run_function(where.backend, [&] { run_backend(std::move(listener), scenario.backend); });
    listener = Fd();
    Result<Started> started =
        start(sample.peer, {backend_port, where.proxy, options_.configurations, directory.path(),
                            scenario.question.body_bytes});
    if (!started) {
      sample.report.wrong = 1;
      sample.problem = started.error().message;
      return;
    }
    LoadPlan plan = plan_of(scenario, options_.timing);
    plan.port = started->port;
    plan.proxy = started->process.process();
    plan.backend = backend.process();
    plan.cores = where.all();
    const LoadReport report = load_in_child(where.client, plan);
    sample.report = report;
    sample.problem = report.problem;
    if (report.seconds > 0) sample.foreign = report.foreign_ns / 1e9 / report.seconds;
    sample.clean = report.wrong == 0 && sample.foreign <= options_.foreign_limit;
  }

  const RunOptions& options_;
  const Tell& tell_;
  Cores cores_;
  std::vector<Sample> samples_;
};

// Who has a turn in this scenario: everybody, or every drover with one loop and with two.
std::vector<Peer> turns(const Scenario& scenario, const std::vector<Peer>& peers) {
  if (!scenario.by_loops) return peers;
  std::vector<Peer> turns;
  for (const Peer& peer : peers) {
    if (peer.kind != PeerKind::kDrover) continue;
    turns.push_back(peer);
    turns.push_back(peer);
    turns.back().loops = 2;
    turns.back().name += kTwoLoops;
  }
  return turns;
}

}  // namespace

std::vector<Sample> run_rounds(const RunOptions& options, const Tell& tell) {
  Bench bench(options, tell);
  for (unsigned round = 0; round < options.rounds; ++round) {
    for (const Scenario* scenario : options.chosen) {
      std::vector<Peer> peers = turns(*scenario, options.peers);
      // Whatever drifts within a round hits first and last alike over two rounds.
      if (round % 2 == 1) std::reverse(peers.begin(), peers.end());
      bench.give_turns(*scenario, peers, round);
    }
  }
  return bench.take_samples();
}

}  // namespace drover::bench
