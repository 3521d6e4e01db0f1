#include "gateway/sim_world.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "fake_ollama/text.h"

namespace drover::simtest {
namespace {

const net::Endpoint kAdminAt = *net::Endpoint::parse("127.0.0.1:11436");

std::vector<core::BackendSpec> specs(const WorldOptions& options) {
  std::vector<core::BackendSpec> all;
  for (std::uint32_t i = 0; i < options.instances; ++i) {
    all.push_back(
        {BackendId{i}, fmt::format("gpu{}", i), fmt::format("http://10.0.0.{}:11434", i)});
    if (options.spec) options.spec(all.back());
  }
  return all;
}

std::vector<probe::ProbeTarget> targets(std::uint32_t count) {
  std::vector<probe::ProbeTarget> all;
  for (std::uint32_t i = 0; i < count; ++i) {
    all.push_back({BackendId{i}, {fmt::format("10.0.0.{}", i), 11434}});
  }
  return all;
}

// Named s0, s1, …
jobs::Settings jobs_settings(const WorldOptions& options) {
  jobs::Settings settings = options.jobs;
  std::vector<std::vector<std::uint32_t>> stores = options.stores;
  for (std::uint32_t i = 0; stores.size() < options.instances && options.stores.empty(); ++i) {
    stores.push_back({i});
  }
  for (const std::vector<std::uint32_t>& members : stores) {
    jobs::Store store{fmt::format("s{}", settings.stores.size()), {}};
    for (const std::uint32_t i : members) {
      store.members.push_back(
          {BackendId{i}, fmt::format("gpu{}", i), {fmt::format("10.0.0.{}", i), 11434}});
    }
    settings.stores.push_back(std::move(store));
  }
  return settings;
}

std::string value_text(const LogField& field) {
  if (const auto* text = std::get_if<std::string_view>(&field.value)) return std::string(*text);
  if (const auto* plain = std::get_if<PlainText>(&field.value)) {
    EXPECT_TRUE(std::ranges::all_of(
        plain->text, [](char c) { return c >= ' ' && c < 0x7F && c != '"' && c != '\\'; }))
        << field.key << " is no plain text: " << plain->text;
    return std::string(plain->text);
  }
  if (const auto* number = std::get_if<std::int64_t>(&field.value))
    return fmt::format("{}", *number);
  if (const auto* count = std::get_if<std::uint64_t>(&field.value))
    return fmt::format("{}", *count);
  if (const auto* real = std::get_if<double>(&field.value)) return fmt::format("{}", *real);
  if (const auto* time = std::get_if<Duration>(&field.value))
    return fmt::format("{}", to_millis(*time));
  return std::get<bool>(field.value) ? "true" : "false";
}

}  // namespace

void Lines::write(LogLevel, std::string_view event, std::span<const LogField> fields) {
  if (event != "request") {
    events.emplace_back(event);
    return;
  }
  Line line;
  for (const LogField& field : fields) line.emplace(field.key, value_text(field));
  requests.push_back(std::move(line));
}

World::World(WorldOptions options)
    : options_(std::move(options)),
      loop_(std::make_unique<simnet::VirtualLoop>(options_.network)),
      resolver_(*loop_),
      settings_(gateway_settings()),
      engine_(std::make_unique<engine::Engine>(*loop_, options_.core, specs(options_), log_)),
      pool_(*loop_, resolver_, {}),
      port_(std::make_unique<engine::Port>(*engine_, *loop_)),
      probe_(std::make_unique<probe::Probe>(*loop_, resolver_, *engine_, options_.probe,
                                            targets(options_.instances))),
      jobs_(std::make_unique<jobs::Jobs>(
          *engine_, resolver_, jobs_settings(options_), [this] { return probe_->look_again(); },
          log_)),
      gateway_(std::make_unique<gateway::Gateway>(*loop_, *port_, pool_, *jobs_, settings_, log_)) {
  engine_->on_refresh([this] { probe_->refresh(); });
  engine_->on_canary([this](const core::Canary& wanted) { probe_->canary(wanted); });
  engine_->on_load([this](const core::Load& wanted) {
    // What is configured stays loaded; for the others the instance's own rule holds.
    if (wanted.reason == core::LoadReason::kWanted) return jobs_->load(wanted);
    probe_->load(wanted);
  });
  engine_->on_unload([this](const core::Unload& wanted) { probe_->unload(wanted); });
  engine_->on_health([this](const core::HealthChanged& change) {
    if (change.to != core::HealthState::kDown) return;
    pool_.forget(change.backend);
    jobs_->instance_down(change.backend);
  });
  gateway::AdminViews views{[] { return std::string("drover_up 1\n"); },
                            [] { return std::string("{\"status\":true}"); },
                            [] { return std::string("<!doctype html>"); }};
  views.models = [this] { return jobs_->wanted(); };
  admin_ = std::make_unique<gateway::Admin>(*loop_, *engine_, settings_, std::move(views));
  fakes_.resize(options_.instances);
  alive_.resize(options_.instances);
  for (std::uint32_t i = 0; i < options_.instances; ++i) {
    start_instance(i);
    if (options_.starts_frozen) freeze(i);
  }
  auto listener = loop_->listen(*net::Endpoint::parse(options_.listen), {});
  gateway_->serve(std::move(listener).value());
  auto admin_listener = loop_->listen(kAdminAt, {});
  admin_->serve(std::move(admin_listener).value());
  probe_->start();
  pass(100ms);
}

// As app ends: frames first, whose leases report to the port and the engine.
World::~World() { loop_->abandon(); }

gateway::Settings World::gateway_settings() const {
  gateway::Settings settings = options_.gateway;
  settings.stores = jobs_settings(options_).stores;
  for (std::uint32_t i = 0; i < options_.instances; ++i) {
    const std::string host = fmt::format("10.0.0.{}", i);
    settings.instances.push_back({BackendId{i}, fmt::format("gpu{}", i), {host, 11434}, host});
  }
  return settings;
}

fake::FakeOptions World::options_of(std::uint32_t i) const {
  fake::FakeOptions options = options_.fake;
  const auto found = options_.models.find(i);
  if (found != options_.models.end()) options.models = found->second;
  return options;
}

net::Endpoint World::at(std::uint32_t i) const {
  return *net::Endpoint::parse(fmt::format("10.0.0.{}:11434", i));
}

void World::start_instance(std::uint32_t i) {
  fakes_[i] = std::make_unique<fake::FakeOllama>(*loop_, options_of(i));
  auto listener = loop_->listen(at(i), {});
  fakes_[i]->serve(std::move(listener).value());
  alive_[i] = true;
}

void World::kill(std::uint32_t i) {
  network().kill(at(i));
  alive_[i] = false;
}

void World::restart(std::uint32_t i) {
  if (alive_[i]) kill(i);
  pass(1ms);
  start_instance(i);
}

Client& World::connect() {
  Client& client = clients_.emplace_back(*loop_);
  client.connect(*net::Endpoint::parse(options_.listen));
  return client;
}

Client& World::connect_admin() {
  Client& client = clients_.emplace_back(*loop_);
  client.connect(kAdminAt);
  return client;
}

Reply World::admin(std::string_view method, std::string_view path, std::string_view fields) {
  Client& client = connect_admin();
  client.say(
      fmt::format("{} {} HTTP/1.1\r\nHost: localhost:11436\r\n{}\r\n", method, path, fields));
  done(client);
  const Reply reply = client.reply();
  client.leave();
  return reply;
}

Client& World::ask_instance(std::uint32_t i, std::string_view request) {
  Client& client = clients_.emplace_back(*loop_);
  client.connect(at(i));
  client.say(request);
  return client;
}

std::uint32_t World::busy_instance() {
  std::uint32_t i = 0;
  while (i < options_.instances && view(i).in_flight == 0) ++i;
  return i;
}

Client& World::ask(std::string_view request) {
  Client& client = connect();
  client.say(request);
  return client;
}

std::string World::request(std::string_view method, std::string_view path, std::string_view body,
                           std::string_view fields) {
  std::string text =
      fmt::format("{} {} HTTP/1.1\r\nHost: localhost:11434\r\n{}", method, path, fields);
  if (!body.empty() || method == "POST") {
    text += fmt::format("Content-Length: {}\r\n", body.size());
  }
  return text + "\r\n" + std::string(body);
}

std::string World::chat_body(int tokens, std::string_view question, std::string_view more) {
  return fmt::format(R"({{"model":"llama3.2","messages":[{{"role":"user","content":"{}"}}],)"
                     R"({}"options":{{"num_predict":{}}}}})",
                     question, more, tokens);
}

Client& World::chat(int tokens, std::string_view question) {
  return post("/api/chat", chat_body(tokens, question));
}

std::string World::text(int tokens, std::string_view question) const {
  return fake::answer_text(options_.fake.seed, question, static_cast<std::size_t>(tokens));
}

Client& World::done(Client& client, std::size_t count) {
  const auto has_all = [&] {
    const std::vector<Reply> replies = client.replies();
    return replies.size() >= count && replies[count - 1].complete;
  };
  for (Duration step = 1ms; !has_all() && !client.closed() && step < 1h; step *= 2) pass(step);
  return client;
}

Client& World::closed(Client& client) {
  for (Duration step = 1ms; !client.closed() && step < 1h; step *= 2) pass(step);
  return client;
}

std::uint32_t World::in_flight() {
  std::uint32_t sum = 0;
  for (const core::BackendView& backend : engine_->view_now()->backends) sum += backend.in_flight;
  return sum;
}

std::uint64_t World::requests_seen() {
  std::uint64_t sum = 0;
  for (const auto& fake : fakes_) sum += fake->counts().requests;
  return sum;
}

void World::expect_nothing_left() {
  for (Client& client : clients_) client.leave();
  for (std::uint32_t i = 0; i < options_.instances; ++i) {
    thaw(i);
    if (!alive_[i]) restart(i);
    fakes_[i]->clear_faults();
  }
  probe_->stop();
  pass(30min);
  EXPECT_EQ(in_flight(), 0U);
  for (const core::BackendView& backend : engine_->view_now()->backends) {
    EXPECT_EQ(backend.awaiting_first, 0U) << backend.name;
  }
  for (const auto& fake : fakes_) {
    EXPECT_EQ(fake->counts().running, 0U);
    EXPECT_EQ(fake->counts().waiting, 0U);
  }
  EXPECT_EQ(gateway_->open_connections(), 0U);
  EXPECT_EQ(metrics().connections_open.value(), 0);
  EXPECT_EQ(metrics().requests_active.value(), 0);
  // Those who accept, and the engine's housekeeper.
  EXPECT_EQ(loop_->live_tasks(), options_.instances + 3U);
}

}  // namespace drover::simtest
