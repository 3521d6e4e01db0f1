#include "app/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <random>
#include <thread>

#include "app/drift_watch.h"
#include "app/notebook.h"
#include "app/orders_file.h"
#include "app/translate.h"
#include "drover_version.h"
#include "engine/engine.h"
#include "export/prometheus.h"
#include "export/status_json.h"
#include "gateway/admin.h"
#include "gateway/admin_page.h"
#include "gateway/gateway.h"
#include "jobs/journal.h"
#include "net/cares_resolver.h"
#include "net/epoll_loop.h"
#include "net/loop_thread.h"
#include "net/signals.h"
#include "net/upstream_pool.h"
#include "probe/probe.h"

namespace drover::app {
namespace {

// After the drain time, what is cut gets this long to send its error records.
constexpr Duration kCutTime = std::chrono::seconds(2);
// An instance of this machine answers in a millisecond; a silent one is not waited for longer.
constexpr Duration kFirstLook = std::chrono::milliseconds(500);
// The greeting waits this long for the first catalogue, to name a model that exists.
constexpr Duration kGreetingWait = std::chrono::seconds(3);

std::uint64_t chance() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

// One IO loop with everything that lives on it. The first one is home to the engine as well.
struct IoLoop {
  std::unique_ptr<net::EpollLoop> loop = std::make_unique<net::EpollLoop>();
  std::unique_ptr<net::CaresResolver> resolver;
  std::unique_ptr<net::UpstreamPool> pool;
  std::unique_ptr<engine::Port> port;
  std::unique_ptr<gateway::Gateway> gateway;
  std::vector<std::unique_ptr<net::Listener>> listeners;
};

}  // namespace

struct Server::State {
  State(const config::Config& c, Supervised s, Log& l)
      : config(c), supervised(std::move(s)), log(l) {}
  ~State();

  Result<void> adopt(Sockets sockets);
  void wire();
  void keep_orders(jobs::Settings& orders);
  net::Task<void> open_doors();
  net::Task<void> greet();
  net::Task<void> stop_after(Duration time);
  net::Task<void> watch_drift();
  void on_signal(int number);
  void drain();
  void on_drained();
  std::string listen_text() const;

  const config::Config config;
  const Supervised supervised;
  Log& log;
  gateway::Settings settings = gateway_settings(config);
  std::vector<IoLoop> io = std::vector<IoLoop>(loop_count(config));
  std::unique_ptr<net::Listener> admin_listener;
  std::vector<net::Endpoint> bound;
  net::Endpoint admin_bound;
  std::unique_ptr<net::Signals> signals;
  std::unique_ptr<engine::Engine> engine;
  std::unique_ptr<probe::Probe> probe;
  std::unique_ptr<OrdersFile> orders_file;  // null: orders end with drover
  std::unique_ptr<jobs::Jobs> jobs;
  std::unique_ptr<gateway::Admin> admin;
  std::unique_ptr<Notebook> notes;
  std::vector<std::unique_ptr<net::LoopThread>> threads;
  std::function<void()> serving;
  std::size_t drained = 0;
  bool draining = false;
  bool forced = false;
  Instant started{};

  net::EpollLoop& home() { return *io.front().loop; }
};

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::create(const config::Config& config, Sockets sockets,
                                               const Supervised& supervised,
                                               std::shared_ptr<const store::Folder> folder,
                                               Log& log) {
  auto state = std::make_unique<State>(config, supervised, log);
  Result<void> adopted = state->adopt(std::move(sockets));
  if (!adopted) return std::move(adopted).error();
  if (folder) state->orders_file = std::make_unique<OrdersFile>(state->home(), folder, log);
  state->wire();
  if (folder) {
    state->notes = std::make_unique<Notebook>(*state->engine, std::move(folder), log);
    state->notes->read();
  }
  return std::unique_ptr<Server>(new Server(std::move(state)));  // tidy: allow(new) private ctor
}

Result<void> Server::State::adopt(Sockets sockets) {
  bound = sockets.clients();
  admin_bound = sockets.admin();
  const std::vector<int> descriptors = sockets.take();
  // All are taken even after an error, so that each has one owner.
  Result<void> outcome;
  for (std::size_t i = 0; i < descriptors.size(); ++i) {
    IoLoop& each = i == 0 ? io.front() : io[(i - 1) % io.size()];
    Result<std::unique_ptr<net::Listener>> listener = each.loop->adopt_listener(descriptors[i]);
    if (!listener) {
      outcome = std::move(listener).error();
    } else if (i == 0) {
      admin_listener = std::move(*listener);
    } else {
      each.listeners.push_back(std::move(*listener));
    }
  }
  return outcome;
}

void Server::State::wire() {
  signals = std::make_unique<net::Signals>(home(), kEndingSignals,
                                           [this](int number) { on_signal(number); });
  engine = std::make_unique<engine::Engine>(home(), core_settings(config, chance()),
                                            backend_specs(config, supervised), log);
  for (IoLoop& each : io) each.resolver = std::make_unique<net::CaresResolver>(*each.loop);
  probe = std::make_unique<probe::Probe>(home(), *io.front().resolver, *engine,
                                         probe_settings(config, chance()), probe_targets(config));
  jobs::Settings orders = jobs_settings(config, supervised);
  settings.stores = orders.stores;
  if (config.identity && !settings.identity) {
    log.warn("the instance with the account is not there",
             {{"identity", std::string_view(*config.identity)},
              {"remedy", std::string_view("see drover status")}});
  }
  for (const std::string& pin : vain_pins(config)) {
    log.warn("a model is pinned to an instance that there is not",
             {{"pin", std::string_view(pin)}, {"remedy", std::string_view("see drover status")}});
  }
  keep_orders(orders);
  jobs = std::make_unique<jobs::Jobs>(
      *engine, *io.front().resolver, std::move(orders), [this] { return probe->look_again(); },
      log);
  for (IoLoop& each : io) {
    each.pool =
        std::make_unique<net::UpstreamPool>(*each.loop, *each.resolver, pool_limits(config));
    each.port = std::make_unique<engine::Port>(*engine, *each.loop);
    each.gateway = std::make_unique<gateway::Gateway>(*each.loop, *each.port, *each.pool, *jobs,
                                                      settings, log);
  }
  engine->on_health([this](const core::HealthChanged& change) {
    if (change.to != core::HealthState::kDown) return;
    jobs->instance_down(change.backend);
    for (IoLoop& each : io) {
      net::UpstreamPool* pool = each.pool.get();
      each.loop->post([pool, id = change.backend] { pool->forget(id); });
    }
  });
  engine->on_refresh([this] { probe->refresh(); });
  engine->on_canary([this](const core::Canary& wanted) { probe->canary(wanted); });
  engine->on_load([this](const core::Load& wanted) {
    // What is configured stays loaded; for the others the instance's own rule holds.
    if (wanted.reason == core::LoadReason::kWanted) return jobs->load(wanted);
    probe->load(wanted);
  });
  engine->on_unload([this](const core::Unload& wanted) { probe->unload(wanted); });

  gateway::AdminViews views;
  views.metrics = [this] {
    Counter& dropped = engine->metrics().log_lines_dropped;
    dropped.add(log.dropped() - dropped.value());
    engine->metrics().notes_age_seconds.set(notes ? notes->age_seconds() : -1);
    return exporter::metrics_text(*engine->view_now(), engine->metrics(), kVersion);
  };
  views.status = [this] {
    return exporter::status_json(*engine->view_now(),
                                 {kVersion, listen_text(), home().now(), started});
  };
  views.page = [this] {
    return gateway::admin_page(*engine->view_now(), {kVersion, listen_text(), home().now(),
                                                     engine->metrics().requests_active.value()});
  };
  views.models = [this] { return jobs->wanted(); };
  admin = std::make_unique<gateway::Admin>(home(), *engine, settings, std::move(views));
}

// What the drover before did not come to an end with.
void Server::State::keep_orders(jobs::Settings& orders) {
  if (orders_file == nullptr) return;
  const std::string text = orders_file->read();
  if (!text.empty()) {
    Result<std::vector<jobs::Order>> left = jobs::read_journal(text);
    if (left) {
      orders.left = *std::move(left);
    } else {
      orders_file->set_aside(left.error().message);
    }
  }
  orders.keep = [this](std::string journal) { orders_file->write(std::move(journal)); };
}

std::string Server::State::listen_text() const {
  std::string text;
  for (const net::Endpoint& endpoint : bound) {
    text += text.empty() ? "" : ", ";
    text += endpoint.to_string();
  }
  return text;
}

// Threads first, so that no coroutine runs any more; then frames, whose leases report to ports and
// the engine; then the rest in reverse order of making.
Server::State::~State() {
  threads.clear();
  for (IoLoop& each : io) each.loop->abandon();
  admin.reset();
  for (IoLoop& each : io) {
    each.gateway.reset();
    each.port.reset();
    each.pool.reset();
    each.listeners.clear();
  }
  jobs.reset();
  orders_file.reset();
  probe.reset();
  for (IoLoop& each : io) each.resolver.reset();
  notes.reset();
  engine.reset();
  signals.reset();
  admin_listener.reset();
}

void Server::State::on_signal(int number) {
  if (draining) {
    log.warn("second signal, ending now", {{"signal", std::int64_t{number}}});
    forced = true;
    home().stop();
    return;
  }
  log.info("draining", {{"signal", std::int64_t{number}},
                        {"at_most_seconds", to_seconds(config.timeouts.drain)}});
  drain();
}

void Server::State::drain() {
  draining = true;
  admin->set_draining();
  jobs->drain();
  for (IoLoop& each : io) {
    gateway::Gateway* gateway = each.gateway.get();
    net::Loop* home_loop = &home();
    each.loop->post([this, gateway, home_loop] {
      gateway->drain([this, home_loop] { home_loop->post([this] { on_drained(); }); });
    });
  }
  home().spawn(stop_after(config.timeouts.drain));
}

void Server::State::on_drained() {
  if (++drained == io.size()) home().stop();
}

net::Task<void> Server::State::stop_after(Duration time) {
  co_await home().sleep_for(time);
  log.warn("drain time is over, ending what still runs", {});
  for (IoLoop& each : io) {
    gateway::Gateway* gateway = each.gateway.get();
    each.loop->post([gateway] { gateway->cut(); });
  }
  co_await home().sleep_for(kCutTime);
  home().stop();
}

engine::Engine& Server::engine() { return *state_->engine; }

net::EpollLoop& Server::home() { return state_->home(); }

void Server::drain() {
  if (!state_->draining) state_->drain();
}

void Server::on_serving(std::function<void()> serving) { state_->serving = std::move(serving); }

void Server::abort() {
  state_->forced = true;
  state_->home().stop();
}

// Clients wait in the kernel until every instance was asked once: a gateway that was started again
// after a crash must not refuse what its predecessor served.
net::Task<void> Server::State::open_doors() {
  const Instant patience = home().now() + kFirstLook;
  const auto unknown = [](const core::BackendView& backend) {
    return backend.health == core::HealthState::kUnknown;
  };
  while (home().now() < patience && std::ranges::any_of(engine->view()->backends, unknown)) {
    co_await home().sleep_for(std::chrono::milliseconds(5));
  }
  if (draining) co_return;
  for (IoLoop& each : io) {
    each.loop->post([&each] {
      for (std::unique_ptr<net::Listener>& listener : each.listeners) {
        if (listener) each.gateway->serve(std::move(listener));
      }
    });
  }
  if (serving) serving();
}

// What a person needs now: the address, the instances, and one line that streams tokens.
net::Task<void> Server::State::greet() {
  const Instant patience = home().now() + kGreetingWait;
  std::shared_ptr<const core::FleetView> fleet = engine->view();
  const auto has_model = [&fleet] {
    return std::any_of(fleet->backends.begin(), fleet->backends.end(), [](const auto& backend) {
      return backend.catalogue && !backend.catalogue->empty();
    });
  };
  while (!has_model() && home().now() < patience) {
    co_await home().sleep_for(std::chrono::milliseconds(20));
    fleet = engine->view();
  }
  std::string text = "\ndrover serves Ollama's API for these instances:\n";
  std::string model = "MODEL";
  for (const core::BackendView& backend : fleet->backends) {
    const bool known = backend.catalogue != nullptr;
    text += fmt::format("  {:<20} {:<28} {}{}\n", backend.name, backend.url,
                        core::to_string(backend.health),
                        known ? fmt::format(", {} models", backend.catalogue->size()) : "");
    if (known && !backend.catalogue->empty() && model == "MODEL") {
      model = backend.catalogue->front().shown_name;
    }
  }
  const net::Endpoint& at = bound.front();
  const std::string url =
      at.is_wildcard() ? fmt::format("127.0.0.1:{}", at.port()) : at.to_string();
  text += fmt::format(
      "\nTry it:  curl -N http://{}/api/generate -d "
      "'{{\"model\":\"{}\",\"prompt\":\"Why is the sky blue?\"}}'\n"
      "Or:      OLLAMA_HOST={} ollama run {}\n"
      "Watch:   http://{}/   or   drover status\n\n",
      url, model, url, model, admin_bound.to_string());
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

net::Task<void> Server::State::watch_drift() {
  constexpr Duration kInterval = std::chrono::seconds(30);
  DriftWatch watch(log);
  for (;;) {
    co_await home().sleep_for(kInterval);
    watch.look(*engine->view());
  }
}

Server::Ended Server::run() {
  State& s = *state_;
  for (const net::Endpoint& endpoint : s.bound) {
    std::printf("listening on %s\n", endpoint.to_string().c_str());
  }
  std::printf("admin on %s\n", s.admin_bound.to_string().c_str());
  std::fflush(stdout);
  s.started = s.home().now();
  s.probe->start();
  s.admin->serve(std::move(s.admin_listener));
  s.home().spawn(s.open_doors());
  s.home().spawn(s.greet());
  s.home().spawn(s.watch_drift());
  if (s.notes) s.notes->start();
  for (std::size_t i = 1; i < s.io.size(); ++i) {
    s.threads.push_back(
        std::make_unique<net::LoopThread>(*s.io[i].loop, fmt::format("drover-io-{}", i)));
  }
  s.home().run();
  s.threads.clear();
  if (s.notes) s.notes->write_at_the_end();
  return s.forced ? Ended::kForced : Ended::kDrained;
}

}  // namespace drover::app
