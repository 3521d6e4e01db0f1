#pragma once
// A whole drover in the simulated network: the real gateway, engine, probe and admin side, in front
// of simulated instances on the same virtual loop. Time moves only when the test says so.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "fake_ollama/fake_ollama.h"
#include "gateway/admin.h"
#include "gateway/gateway.h"
#include "gateway/sim_client.h"
#include "gateway/sim_json.h"
#include "net/upstream_pool.h"
#include "probe/probe.h"
#include "simnet/table_resolver.h"
#include "simnet/virtual_loop.h"

namespace drover::simtest {

using namespace std::chrono_literals;

// Keeps the lines of finished requests.
class Lines final : public Log {
 public:
  using Line = std::map<std::string, std::string, std::less<>>;
  void write(LogLevel level, std::string_view event, std::span<const LogField> fields) override;
  std::vector<Line> requests;
  std::vector<std::string> events;  // of everything else
};

struct WorldOptions {
  std::uint32_t instances = 2;
  simnet::NetworkOptions network;
  fake::FakeOptions fake;  // of every instance; models may be replaced one by one below
  std::map<std::uint32_t, std::vector<fake::FakeModel>> models;
  core::Settings core;
  gateway::Settings gateway;
  probe::ProbeSettings probe;
  std::function<void(core::BackendSpec&)> spec;    // of every instance: supervised, its GPUs
  std::vector<std::vector<std::uint32_t>> stores;  // instances of each; empty: each has its own
  jobs::Settings jobs;                             // but for its stores
  std::string listen = "127.0.0.1:11434";
  bool starts_frozen = false;  // no instance has answered anything yet
};

class World {
 public:
  explicit World(WorldOptions options = {});
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // --- the fleet ---
  fake::FakeOllama& instance(std::uint32_t i) { return *fakes_[i]; }
  net::Endpoint at(std::uint32_t i) const;
  void kill(std::uint32_t i);
  // A new process on the same port; its counts begin at zero.
  void restart(std::uint32_t i);
  void freeze(std::uint32_t i) { network().freeze(at(i)); }
  void thaw(std::uint32_t i) { network().thaw(at(i)); }
  simnet::Network& network() { return loop_->network(); }

  // --- clients ---
  Client& connect();
  Client& connect_admin();
  // One request to the admin side, on a connection of its own.
  Reply admin(std::string_view method, std::string_view path, std::string_view fields = "");
  // Past drover, to an instance.
  Client& ask_instance(std::uint32_t i, std::string_view request);
  // On a connection of its own.
  Client& ask(std::string_view request);
  Client& get(std::string_view path) { return ask(request("GET", path, {})); }
  Client& post(std::string_view path, std::string_view body) {
    return ask(request("POST", path, body));
  }
  // A chat that streams `tokens` tokens.
  Client& chat(int tokens = 4, std::string_view question = "hi");
  static std::string request(std::string_view method, std::string_view path, std::string_view body,
                             std::string_view fields = "");
  static std::string chat_body(int tokens = 4, std::string_view question = "hi",
                               std::string_view more = "");
  // What an instance says to it.
  std::string text(int tokens = 4, std::string_view question = "hi") const;

  // --- time ---
  void pass(Duration d) { loop_->run_for(d); }
  // Until the client has `count` whole answers, or an hour has passed.
  Client& done(Client& client, std::size_t count = 1);
  Client& closed(Client& client);
  Instant now() const { return loop_->now(); }

  // The methods of a request without a body, and with one.
  Client& remove(std::string_view body) { return ask(request("DELETE", "/api/delete", body)); }

  // --- what is known ---
  core::BackendView view(std::uint32_t i) { return engine_->view_now()->backends[i]; }
  std::uint32_t in_flight();
  std::uint64_t requests_seen();  // by all instances
  engine::Metrics& metrics() { return engine_->metrics(); }
  const Lines& log() const { return log_; }
  gateway::Gateway& gateway() { return *gateway_; }
  gateway::Admin& admin() { return *admin_; }
  engine::Engine& engine() { return *engine_; }
  simnet::VirtualLoop& loop() { return *loop_; }
  void stop_probe() { probe_->stop(); }
  // The instance that has work; the number of instances when none has.
  std::uint32_t busy_instance();

  // Everybody leaves, time passes; whatever is still there afterwards has leaked.
  void expect_nothing_left();

 private:
  void start_instance(std::uint32_t i);
  fake::FakeOptions options_of(std::uint32_t i) const;
  gateway::Settings gateway_settings() const;

  WorldOptions options_;
  Lines log_;
  std::unique_ptr<simnet::VirtualLoop> loop_;
  std::deque<Client> clients_;
  simnet::TableResolver resolver_;
  gateway::Settings settings_;
  std::unique_ptr<engine::Engine> engine_;
  net::UpstreamPool pool_;
  std::unique_ptr<engine::Port> port_;
  std::unique_ptr<probe::Probe> probe_;
  std::unique_ptr<jobs::Jobs> jobs_;
  std::unique_ptr<gateway::Gateway> gateway_;
  std::unique_ptr<gateway::Admin> admin_;
  std::vector<std::unique_ptr<fake::FakeOllama>> fakes_;
  std::vector<bool> alive_;
};

}  // namespace drover::simtest
