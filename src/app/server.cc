#include "app/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <random>
#include <thread>

#include "app/translate.h"
#include "drover_version.h"
#include "engine/engine.h"
#include "export/prometheus.h"
#include "export/status_json.h"
#include "gateway/admin.h"
#include "gateway/admin_page.h"
#include "gateway/gateway.h"
#include "net/cares_resolver.h"
#include "net/epoll_loop.h"
#include "net/loop_thread.h"
#include "net/signals.h"
#include "net/upstream_pool.h"
#include "probe/probe.h"

namespace drover::app {
namespace {

// Four loops relay some 300,000 tokens a second; more would only be idle threads.
constexpr unsigned kAutoLoopsMax = 4;
// After the drain time, what is cut gets this long to send its error records.
constexpr Duration kCutTime = std::chrono::seconds(2);
// The greeting waits this long for the first catalogue, to name a model that exists.
constexpr Duration kGreetingWait = std::chrono::seconds(3);

std::uint64_t chance() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

unsigned loop_count(const config::Config& config) {
  if (config.loops) return *config.loops;
  return std::clamp(std::thread::hardware_concurrency(), 1U, kAutoLoopsMax);
}

Result<net::Endpoint> to_endpoint(const config::HostPort& address) {
  const std::string host = address.host == "localhost" ? "127.0.0.1" : address.host;
  std::optional<net::Endpoint> endpoint = net::Endpoint::from_literal(host, address.port);
  if (endpoint) return *endpoint;
  return Error{ErrorKind::kConfig, Origin::kSelf, Retry::kNever,
               fmt::format("cannot listen on '{}': give an address of this machine, such as "
                           "127.0.0.1 or 0.0.0.0",
                           address.to_string())};
}

Error cannot_listen(const net::Endpoint& at, const Error& error) {
  return {ErrorKind::kSystem, Origin::kSelf, Retry::kNever,
          fmt::format("cannot {} (wanted {}); end what holds the address, or choose another with "
                      "--listen or --admin",
                      error.message, at.to_string())};
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
  State(const config::Config& c, Log& l) : config(c), log(l) {}
  ~State();

  Result<void> bind();
  void wire();
  net::Task<void> greet();
  net::Task<void> stop_after(Duration time);
  void on_signal(int number);
  void drain();
  void on_drained();
  std::string listen_text() const;

  const config::Config config;
  Log& log;
  gateway::Settings settings = gateway_settings(config);
  std::vector<IoLoop> io = std::vector<IoLoop>(loop_count(config));
  std::unique_ptr<net::Listener> admin_listener;
  std::vector<net::Endpoint> bound;
  net::Endpoint admin_bound;
  std::unique_ptr<net::Signals> signals;
  std::unique_ptr<engine::Engine> engine;
  std::unique_ptr<probe::Probe> probe;
  std::unique_ptr<gateway::Admin> admin;
  std::vector<std::unique_ptr<net::LoopThread>> threads;
  std::size_t drained = 0;
  bool draining = false;
  bool forced = false;
  Instant started{};

  net::EpollLoop& home() { return *io.front().loop; }
};

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::create(const config::Config& config, Log& log) {
  auto state = std::make_unique<State>(config, log);
  Result<void> bound = state->bind();
  if (!bound) return std::move(bound).error();
  state->wire();
  return std::unique_ptr<Server>(new Server(std::move(state)));  // tidy: allow(new) private ctor
}

// Every address is bound once without sharing, so that two drovers never split a port by accident;
// then by every loop with SO_REUSEPORT, so that the kernel spreads connections.
Result<void> Server::State::bind() {
  for (const config::HostPort& address : config.listen) {
    Result<net::Endpoint> at = to_endpoint(address);
    if (!at) return std::move(at).error();
    Result<std::unique_ptr<net::Listener>> alone = home().listen(*at, {});
    if (!alone) return cannot_listen(*at, alone.error());
    const net::Endpoint local = (*alone)->local();
    bound.push_back(local);
    if (io.size() == 1) {
      io.front().listeners.push_back(std::move(*alone));
      continue;
    }
    alone->reset();
    for (IoLoop& each : io) {
      Result<std::unique_ptr<net::Listener>> shared =
          each.loop->listen(local, {.reuse_port = true});
      if (!shared) return cannot_listen(local, shared.error());
      each.listeners.push_back(std::move(*shared));
    }
  }
  Result<net::Endpoint> at = to_endpoint(config.admin);
  if (!at) return std::move(at).error();
  Result<std::unique_ptr<net::Listener>> listener = home().listen(*at, {});
  if (!listener) return cannot_listen(*at, listener.error());
  admin_listener = std::move(*listener);
  admin_bound = admin_listener->local();
  return {};
}

void Server::State::wire() {
  signals = std::make_unique<net::Signals>(home(), kEndingSignals,
                                           [this](int number) { on_signal(number); });
  engine = std::make_unique<engine::Engine>(home(), core_settings(config, chance()),
                                            backend_specs(config), log);
  for (IoLoop& each : io) {
    each.resolver = std::make_unique<net::CaresResolver>(*each.loop);
    each.pool =
        std::make_unique<net::UpstreamPool>(*each.loop, *each.resolver, pool_limits(config));
    each.port = std::make_unique<engine::Port>(*engine, *each.loop);
    each.gateway =
        std::make_unique<gateway::Gateway>(*each.loop, *each.port, *each.pool, settings, log);
  }
  engine->on_health([this](const core::HealthChanged& change) {
    if (change.to != core::HealthState::kDown) return;
    for (IoLoop& each : io) {
      net::UpstreamPool* pool = each.pool.get();
      each.loop->post([pool, id = change.backend] { pool->forget(id); });
    }
  });
  probe = std::make_unique<probe::Probe>(home(), *io.front().resolver, *engine,
                                         probe_settings(config, chance()), probe_targets(config));
  engine->on_refresh([this] { probe->refresh(); });

  gateway::AdminViews views;
  views.metrics = [this] {
    Counter& dropped = engine->metrics().log_lines_dropped;
    dropped.add(log.dropped() - dropped.value());
    return exporter::metrics_text(*engine->view(), engine->metrics(), kVersion);
  };
  views.status = [this] {
    return exporter::status_json(*engine->view(), {kVersion, listen_text(), home().now(), started});
  };
  views.page = [this] {
    return gateway::admin_page(*engine->view(), {kVersion, listen_text(), home().now(),
                                                 engine->metrics().requests_active.value()});
  };
  admin = std::make_unique<gateway::Admin>(home(), *engine, settings, std::move(views));
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
  probe.reset();
  for (IoLoop& each : io) {
    each.gateway.reset();
    each.port.reset();
    each.pool.reset();
    each.resolver.reset();
    each.listeners.clear();
  }
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

std::vector<std::string> Server::listen_addresses() const {
  std::vector<std::string> texts;
  for (const net::Endpoint& endpoint : state_->bound) texts.push_back(endpoint.to_string());
  return texts;
}

std::string Server::admin_address() const { return state_->admin_bound.to_string(); }

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

Server::Ended Server::run() {
  State& s = *state_;
  for (const net::Endpoint& endpoint : s.bound) {
    std::printf("listening on %s\n", endpoint.to_string().c_str());
  }
  std::printf("admin on %s\n", s.admin_bound.to_string().c_str());
  std::fflush(stdout);
  for (IoLoop& each : s.io) {
    for (std::unique_ptr<net::Listener>& listener : each.listeners) {
      each.gateway->serve(std::move(listener));
    }
  }
  s.started = s.home().now();
  s.probe->start();
  s.admin->serve(std::move(s.admin_listener));
  s.home().spawn(s.greet());
  for (std::size_t i = 1; i < s.io.size(); ++i) {
    s.threads.push_back(
        std::make_unique<net::LoopThread>(*s.io[i].loop, fmt::format("drover-io-{}", i)));
  }
  s.home().run();
  s.threads.clear();
  return s.forced ? Ended::kForced : Ended::kDrained;
}

}  // namespace drover::app
