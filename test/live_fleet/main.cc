// The program: six simulated Ollamas on ports, and the clients of a scenario who ask for them,
// directly or through drover. See `run`.

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/resource.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <functional>
#include <numeric>

#include "app/generate_client.h"
#include "base/rng.h"
#include "live_fleet/live_fleet.h"
#include "net/epoll_loop.h"
#include "net/signals.h"
#include "sim/experiment.h"

namespace {

using namespace drover;

struct Arguments {
  std::string scenario = "fits-poisson-single-one";
  std::string policy = "affinity";
  std::string addresses;  // a file
  std::string gpu;        // of which all are
  double rate = 2.5;
  double speed = 1;
  std::uint32_t requests = 1000;
  std::size_t models = 8;
  std::uint64_t seed = 1;
  std::uint64_t shake = 0;
  bool predict = false;
};

// How much later than planned a request may come. Whatever is chosen by lot is chosen anew, too.
constexpr double kShakeSeconds = 0.02;
// Of OLLAMA_KEEP_ALIVE=-1.
constexpr double kForEver = 1e9;
// Before the first request: models are loaded, and whoever looks has seen them.
constexpr double kBeforeSeconds = 20;
// As in the simulator's tables: who meets empty GPUs does not count.
constexpr double kWarmUp = 0.1;

// Where models are when the first request comes: the largest first, each on the instance that has
// the most memory left. Where affinity begins with empty instances, chance gives a popular model
// its home for ever, and two runs of the same requests have little in common.
using Places = std::vector<std::vector<sim::ModelIndex>>;  // by instance
Places places_for(const sim::Fleet& fleet) {
  std::vector<double> left;
  for (const sim::GpuKind& gpu : fleet.gpus) left.push_back(gpu.memory_gb);
  std::vector<sim::ModelIndex> order(fleet.models.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::stable_sort(order, std::greater<>{},
                           [&](sim::ModelIndex model) { return fleet.models[model].vram_gb(); });
  Places places(fleet.gpus.size());
  for (const sim::ModelIndex model : order) {
    const auto most = std::ranges::max_element(left);
    *most -= fleet.models[model].vram_gb();
    places[static_cast<std::size_t>(most - left.begin())].push_back(model);
  }
  return places;
}

struct World {
  sim::Fleet fleet;
  sim::Workload workload;
};

// The same machines and the same requests, everything `speed` times as fast.
World make_world(const Arguments& a) {
  std::optional<sim::Scenario> scenario = sim::find_scenario(a.scenario);
  if (!scenario) return {};
  if (const std::optional<sim::GpuKind> gpu = sim::gpu_from_text(a.gpu)) {
    std::ranges::fill(scenario->fleet.gpus, *gpu);
  }
  scenario->fleet.models.resize(std::min(a.models, scenario->fleet.models.size()));
  scenario->traffic.rate = a.rate * a.speed;
  scenario->traffic.requests = a.requests;
  World world{sim::faster(scenario->fleet, a.speed), {}};
  world.fleet.keep_alive_s = kForEver;
  world.workload = sim::make_workload(scenario->traffic, world.fleet, a.seed);
  world.workload.last_arrival += sim::seconds_of(kBeforeSeconds);
  Rng rng(a.shake);
  for (const sim::JobIndex job : world.workload.arrivals) {
    const double late = a.shake == 0 ? 0 : kShakeSeconds * rng.unit();
    world.workload.jobs[job].planned += sim::seconds_of(kBeforeSeconds + late);
  }
  std::ranges::sort(world.workload.arrivals, {},
                    [&](sim::JobIndex job) { return world.workload.jobs[job].planned; });
  return world;
}

bool counts(const World& world, sim::JobIndex job) {
  const double until = to_seconds(world.workload.last_arrival.time_since_epoch());
  const double planned = to_seconds(world.workload.jobs[job].planned.time_since_epoch());
  return planned - kBeforeSeconds >= kWarmUp * (until - kBeforeSeconds);
}

// What came out of one run.
struct Outcome {
  std::size_t asked = 0;
  std::size_t served = 0;
  std::vector<double> first_s;  // of those that count: how long until the first token
  std::vector<double> late_s;   // how much later than planned each was asked
  std::uint64_t loads = 0;
};

double processor_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

// Each first token too: percentiles are made of several runs together.
void say(const Outcome& outcome) {
  fmt::print(
      "{{\"asked\":{},\"served\":{},\"p50\":{:.4f},\"p99\":{:.4f},\"loads\":{},"
      "\"late_p99\":{:.4f},\"processor_s\":{:.2f},\"first\":[{:.4f}]}}\n",
      outcome.asked, outcome.served, sim::quantile(outcome.first_s, 0.5),
      sim::quantile(outcome.first_s, 0.99), outcome.loads, sim::quantile(outcome.late_s, 0.99),
      processor_seconds(), fmt::join(outcome.first_s, ","));
  std::fflush(stdout);
}

// Begins when the models are in their places.
class Prepared : public sim::Router {
 public:
  Prepared(std::unique_ptr<sim::Router> inner, Places places)
      : inner_(std::move(inner)), places_(std::move(places)) {
    for (const auto& models : places_) missing_ += models.size();
  }
  void begin(Instant, sim::Orders& orders) override {
    for (std::uint32_t i = 0; i < places_.size(); ++i) {
      for (const sim::ModelIndex model : places_[i]) {
        orders.push_back({sim::Order::Kind::kLoad, sim::kNoJob, i, model});
      }
    }
  }
  void loaded(sim::InstanceIndex at, sim::ModelIndex model, bool done, Instant now,
              sim::Orders& orders) override {
    if (missing_ == 0) return inner_->loaded(at, model, done, now, orders);
    if (--missing_ == 0) inner_->begin(now, orders);
  }
  void polled(sim::InstanceIndex at, std::span<const sim::ModelIndex> models, Instant now,
              sim::Orders& orders) override {
    if (missing_ == 0) inner_->polled(at, models, now, orders);
  }
  void arrived(sim::JobIndex job, Instant now, sim::Orders& orders) override {
    inner_->arrived(job, now, orders);
  }
  void first_token(sim::JobIndex job, Instant now, sim::Orders& orders) override {
    inner_->first_token(job, now, orders);
  }
  void progressed(sim::JobIndex job, std::uint64_t tokens, Instant now,
                  sim::Orders& orders) override {
    inner_->progressed(job, tokens, now, orders);
  }
  void ended(sim::JobIndex job, sim::Ending ending, const sim::Served& served, Instant now,
             sim::Orders& orders) override {
    inner_->ended(job, ending, served, now, orders);
  }
  void woken(Instant now, sim::Orders& orders) override { inner_->woken(now, orders); }
  bool follows_progress() const override { return inner_->follows_progress(); }

 private:
  std::unique_ptr<sim::Router> inner_;
  Places places_;
  std::size_t missing_ = 0;
};

int predict(const Arguments& a) {
  const World world = make_world(a);
  const sim::Policy* policy = sim::find_policy(a.policy);
  if (policy == nullptr) return 2;
  sim::World simulated(world.fleet, world.workload);
  Prepared router(policy->make(simulated, a.seed + a.shake), places_for(world.fleet));
  simulated.run(router);
  Outcome outcome;
  outcome.asked = world.workload.arrivals.size();
  for (const sim::JobIndex job : world.workload.arrivals) {
    const sim::Record& record = simulated.records()[job];
    if (record.outcome != sim::Outcome::kServed) continue;
    ++outcome.served;
    if (counts(world, job)) outcome.first_s.push_back(to_seconds(record.first - record.arrived));
  }
  for (std::uint32_t i = 0; i < world.fleet.gpus.size(); ++i) {
    outcome.loads += simulated.backend(i).totals().loads;
  }
  say(outcome);
  return 0;
}

// The clients. With several addresses a baseline of the simulator says which one is asked.
class Crowd {
 public:
  Crowd(net::EpollLoop& loop, const World& world, live::LiveFleet& fleet, const Arguments& a)
      : loop_(loop), world_(world), fleet_(fleet), arguments_(a) {}

  net::Task<void> replay(std::vector<net::Endpoint> addresses) {
    addresses_ = std::move(addresses);
    began_ = loop_.now();
    if (addresses_.size() > 1) {
      unused_ = std::make_unique<sim::World>(world_.fleet, world_.workload);
      router_ = sim::find_policy(arguments_.policy)->make(*unused_, arguments_.seed);
      loop_.spawn(look());
    }
    for (const sim::JobIndex job : world_.workload.arrivals) {
      const Instant planned = world_.workload.jobs[job].planned;
      const Instant due = began_ + (planned - Instant{});
      co_await loop_.sleep_until(due);
      outcome_.late_s.push_back(to_seconds(loop_.now() - due));
      ++under_way_;
      loop_.spawn(ask(job));
    }
    while (under_way_ > 0) co_await loop_.sleep_for(std::chrono::milliseconds(20));
    outcome_.asked = world_.workload.arrivals.size();
    outcome_.loads = fleet_.loads();
    say(outcome_);
    loop_.stop();
  }

 private:
  Instant now() const { return Instant{} + (loop_.now() - began_); }

  net::Endpoint choose(sim::JobIndex job) {
    if (!router_) return addresses_.front();
    sim::Orders orders;
    router_->arrived(job, now(), orders);
    for (const sim::Order& order : orders) {
      if (order.kind == sim::Order::Kind::kSend) return addresses_[order.instance];
    }
    return addresses_.front();
  }
  net::Task<void> look() {
    for (;;) {
      sim::Orders orders;
      for (std::uint32_t i = 0; i < addresses_.size(); ++i) {
        router_->polled(i, fleet_.loaded(i), now(), orders);
      }
      co_await loop_.sleep_for(sim::seconds_of(world_.fleet.poll_s));
    }
  }
  net::Task<void> ask(sim::JobIndex job) {
    constexpr std::size_t kBytesPerToken = 4;
    const sim::Job& what = world_.workload.jobs[job];
    app::GenerateAsk ask;
    ask.to = choose(job);
    ask.host = ask.to.to_string();
    ask.model = world_.fleet.models[what.model].name;
    ask.prompt = fmt::format("job {} ", job);
    ask.prompt.resize(std::max<std::size_t>(ask.prompt.size(), what.prompt * kBytesPerToken), 'x');
    ask.tokens = what.output;
    app::OnPiece on_piece = [this, job](const app::Generated& so_far, std::string_view) {
      sim::Orders none;
      if (router_ && so_far.pieces == 1) router_->first_token(job, now(), none);
    };
    const app::Generated got =
        co_await app::generate(loop_, std::move(ask), kNever, nullptr, std::move(on_piece));
    if (!got.complete) fmt::print(stderr, "job {}: {}\n", job, got.error);
    outcome_.served += got.complete ? 1 : 0;
    if (got.complete && counts(world_, job)) {
      outcome_.first_s.push_back(to_seconds(got.first_token));
    }
    if (router_) {
      sim::Orders orders;
      router_->ended(job, sim::Ending::kServed, {}, now(), orders);
    }
    --under_way_;
  }

  net::EpollLoop& loop_;
  const World& world_;
  live::LiveFleet& fleet_;
  const Arguments& arguments_;
  std::vector<net::Endpoint> addresses_;
  std::unique_ptr<sim::World> unused_;  // what a baseline is made for; it asks it nothing
  std::unique_ptr<sim::Router> router_;
  Outcome outcome_;
  std::size_t under_way_ = 0;
  Instant began_{};
};

std::vector<net::Endpoint> read_addresses(const std::string& path) {
  std::vector<net::Endpoint> all;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (const auto at = net::Endpoint::parse(line)) all.push_back(*at);
  }
  return all;
}

// Says that it is ready when the models are in their places.
net::Task<void> prepare(net::Loop& loop, live::LiveFleet& fleet, Places places) {
  for (std::uint32_t i = 0; i < places.size(); ++i) fleet.load_all(i, places[i]);
  for (std::uint32_t i = 0; i < places.size(); ++i) {
    while (fleet.loaded(i).size() < places[i].size()) {
      co_await loop.sleep_for(std::chrono::milliseconds(20));
    }
  }
  fmt::print("ready\n");
  std::fflush(stdout);
}

int serve(const Arguments& a) {
  const World world = make_world(a);
  net::EpollLoop loop;
  live::LiveFleet fleet(loop, world.fleet, world.workload);
  Crowd crowd(loop, world, fleet, a);
  const net::Signals signals(loop, {SIGTERM, SIGINT, SIGUSR1}, [&](int number) {
    if (number != SIGUSR1) return loop.stop();
    loop.spawn(crowd.replay(read_addresses(a.addresses)));
  });
  const std::vector<net::Endpoint> ports = fleet.listen();
  for (const net::Endpoint& port : ports) fmt::print("instance on {}\n", port.to_string());
  loop.spawn(prepare(loop, fleet, places_for(world.fleet)));
  loop.run();
  loop.abandon();
  return ports.empty() ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("The simulator's fleet on real ports, and its clients.", "live_fleet");
  Arguments a;
  app.add_option("--scenario", a.scenario, "As drover sim names it")->capture_default_str();
  app.add_option("--policy", a.policy, "With --predict, and with several addresses")
      ->capture_default_str();
  app.add_option("--addresses", a.addresses, "A file: whom to ask, once SIGUSR1 comes");
  app.add_option("--gpu", a.gpu, "Six of these instead of the scenario's");
  app.add_option("--rate", a.rate, "Requests a second, before --speed")->capture_default_str();
  app.add_option("--speed", a.speed, "Everything so many times as fast")->capture_default_str();
  app.add_option("--requests", a.requests, "How many")->capture_default_str();
  app.add_option("--models", a.models, "Of the scenario's the first; each has to have a place")
      ->capture_default_str();
  app.add_option("--seed", a.seed, "Of the requests")->capture_default_str();
  app.add_option("--shake", a.shake, "Other than 0: arrivals up to 20 ms later, at random");
  app.add_flag("--predict", a.predict, "Simulate it, and say what came out");
  CLI11_PARSE(app, argc, argv);
  if (!sim::find_scenario(a.scenario)) {
    fmt::print(stderr, "live_fleet: unknown scenario {}\n", a.scenario);
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  return a.predict ? predict(a) : serve(a);
}
