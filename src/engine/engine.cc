#include "engine/engine.h"

#include <algorithm>
#include <type_traits>

#include "base/check.h"
#include "engine/port.h"

namespace drover::engine {

// --- Engine: the face ---

Engine::Engine(net::Loop& home, core::Settings settings, std::vector<core::BackendSpec> backends,
               Log& log)
    : state_(std::make_shared<State>(home, settings, std::move(backends), log)) {}

Engine::~Engine() { state_->shut(); }

std::shared_ptr<const core::FleetView> Engine::view() const { return state_->view.get(); }

std::shared_ptr<const core::FleetView> Engine::view_now() {
  if (state_->published != state_->scheduler.generation()) state_->publish();
  return view();
}

std::optional<core::Learned> Engine::learned() const { return state_->scheduler.learned(); }
void Engine::remember(const core::Learned& learned) { state_->scheduler.remember(learned); }

RequestId Engine::next_request_id() {
  return {state_->last_request.fetch_add(1, std::memory_order_relaxed) + 1};
}

void Engine::observe(core::Observed observed) {
  state_->home.post([state = state_, observed = std::move(observed)]() mutable {
    state->dispatch(std::move(observed));
  });
}

void Engine::refresh_done() {
  state_->home.post([state = state_] { state->dispatch(core::RefreshDone{}); });
}

void Engine::observe_gpus(std::shared_ptr<const GpuReport> report) {
  state_->home.post([state = state_, report = std::move(report)]() mutable {
    state->dispatch(core::GpusObserved{std::move(report)});
  });
}

void Engine::observe_process(BackendId backend, InstanceProcess process) {
  state_->home.post([state = state_, backend, process = std::move(process)]() mutable {
    state->dispatch(core::ProcessObserved{backend, std::move(process)});
  });
}

void Engine::set_draining(BackendId backend, bool draining) {
  state_->home.post([state = state_, backend, draining] {
    state->dispatch(core::DrainChanged{backend, draining});
  });
}

void Engine::request_restart(BackendId backend, core::RestartCause cause, std::string reason,
                             std::optional<Duration> grace) {
  state_->home.post([state = state_, backend, cause, reason = std::move(reason), grace]() mutable {
    state->dispatch(core::RestartRequested{backend, cause, std::move(reason), grace});
  });
}

void Engine::canary_done(core::CanaryDone done) {
  state_->home.post(
      [state = state_, done = std::move(done)]() mutable { state->dispatch(std::move(done)); });
}

void Engine::want_load(core::LoadWanted wanted) {
  state_->home.post([state = state_, wanted = std::move(wanted)]() mutable {
    state->dispatch(std::move(wanted));
  });
}

void Engine::load_done(core::LoadDone done) {
  state_->home.post(
      [state = state_, done = std::move(done)]() mutable { state->dispatch(std::move(done)); });
}

void Engine::on_refresh(std::function<void()> refresh) { state_->refresh = std::move(refresh); }

void Engine::on_health(std::function<void(const core::HealthChanged&)> changed) {
  state_->health_changed = std::move(changed);
}

void Engine::on_restart(std::function<void(const core::RestartInstance&)> restart) {
  state_->restart = std::move(restart);
}

void Engine::on_canary(std::function<void(const core::Canary&)> canary) {
  state_->canary = std::move(canary);
}

void Engine::on_load(std::function<void(const core::Load&)> load) {
  state_->load = std::move(load);
}

void Engine::on_unload(std::function<void(const core::Unload&)> unload) {
  state_->unload = std::move(unload);
}

net::Task<void> Engine::show() {
  // Behind everything that was posted before it; a sleep of no length ends behind what is posted.
  state_->home.post([state = state_] {
    if (state->open) state->publish();
  });
  co_await state_->home.sleep_until(state_->home.now());
}

Metrics& Engine::metrics() { return state_->metrics; }
const FinishedRequests& Engine::finished() const { return state_->finished; }
net::Loop& Engine::home() { return state_->home; }

// --- Engine::State: from ports ---

Engine::State::State(net::Loop& on, core::Settings settings,
                     std::vector<core::BackendSpec> backends, Log& to)
    : home(on), log(to), scheduler(settings, std::move(backends)), nudge(home), housekeeper(home) {
  view.set(std::make_shared<const core::FleetView>(scheduler.view()));
  housekeeper.start(housekeeping());
}

std::optional<Answer> Engine::State::ask(std::shared_ptr<Port::State> port, Ticket ticket,
                                         core::RequestArrived&& request) {
  if (!open) return std::nullopt;
  Question question{request.request, {std::move(port), ticket}, std::nullopt};
  asked = &question;
  dispatch(std::move(request));
  asked = nullptr;
  if (question.answer) return std::move(question.answer);
  waiting.insert_or_assign(question.request, std::move(question.asker));
  return std::nullopt;
}

void Engine::State::ask_from_afar(std::shared_ptr<Port::State> port, Ticket ticket,
                                  core::RequestArrived request) {
  std::optional<Answer> now = ask(port, ticket, std::move(request));
  if (!now) return;
  send(std::move(port), [ticket, given = std::move(*now)](Port::State& to) mutable {
    to.receive(ticket, std::move(given));
  });
}

void Engine::State::withdraw(Ticket ticket, RequestId request) {
  const auto found = waiting.find(request);
  // Answered already: the answer, when it gets there, finds nobody and comes back by itself.
  if (found == waiting.end() || found->second.ticket != ticket) return;
  waiting.erase(found);
  dispatch(core::RequestGone{request});
}

void Engine::State::first_byte(LeaseId lease) {
  if (leases.contains(lease)) dispatch(core::LeaseFirstByte{lease});
}

void Engine::State::progress(core::LeaseProgress progress) {
  if (leases.contains(progress.lease)) dispatch(progress);
}

void Engine::State::held_up(core::LeaseHeldUp held) {
  if (leases.contains(held.lease)) dispatch(held);
}

void Engine::State::settle(core::LeaseSettled settled) {
  if (leases.erase(settled.lease)) dispatch(std::move(settled));
}

void Engine::State::record(const RequestRecord& record) {
  metrics.record(record);
  finished.keep(record);
}

// What the port still held was in messages that nobody will read. Sorted, because the order of a
// hash table must not become the order of decisions.
void Engine::State::close(const Port::State& port) {
  std::vector<RequestId> gone;
  for (const auto& [request, asker] : waiting) {
    if (asker.port.get() == &port) gone.push_back(request);
  }
  std::vector<LeaseId> lost;
  leases.for_each([&](LeaseId lease, const std::shared_ptr<Port::State>& holder) {
    if (holder.get() == &port) lost.push_back(lease);
  });
  std::ranges::sort(gone);
  std::ranges::sort(lost);
  for (const RequestId request : gone) {
    waiting.erase(request);
    dispatch(core::RequestGone{request});
  }
  for (const LeaseId lease : lost) settle({lease, core::AttemptResult::kClientGone, {}, {}});
}

// --- Engine::State: events and effects ---

namespace {

// How old a snapshot may be that differs from what is in counts of requests alone.
constexpr Duration kCountsAge = std::chrono::milliseconds(50);

struct OnlyCounts {
  template <class Event>
  bool operator()(const Event&) const {
    return std::is_same_v<Event, core::RequestArrived> ||
           std::is_same_v<Event, core::RequestGone> ||
           std::is_same_v<Event, core::LeaseFirstByte> ||
           std::is_same_v<Event, core::LeaseProgress> || std::is_same_v<Event, core::LeaseHeldUp> ||
           std::is_same_v<Event, core::LeaseSettled> || std::is_same_v<Event, core::Tick>;
  }
};

}  // namespace

void Engine::State::dispatch(core::Event event) {
  if (!open) return;
  if (handling) {  // an effect caused it: the loop below is under way
    events.push_back(std::move(event));
    return;
  }
  handling = true;
  handle(event);
  while (!events.empty()) {
    const core::Event next = std::move(events.front());
    events.pop_front();
    handle(next);
  }
  handling = false;
  if (nudge && std::min(wake_at, publish_at) < waits_until) nudge->set();
}

void Engine::State::handle(const core::Event& event) {
  effects.clear();
  scheduler.handle(event, home.now(), effects);
  publish_at = std::min(
      publish_at, std::visit(OnlyCounts{}, event) ? last_publication + kCountsAge : Instant{});
  for (core::Effect& effect : effects) {
    std::visit([this](auto& each) { perform(each); }, effect);
  }
}

void Engine::State::perform(core::Grant& grant) {
  if (asked != nullptr && asked->request == grant.request) {
    leases.put(grant.lease, std::move(asked->asker.port));
    asked->answer.emplace(std::move(grant));
    return;
  }
  const auto found = waiting.find(grant.request);
  DROVER_ASSERT(found != waiting.end());
  leases.put(grant.lease, found->second.port);
  deliver(grant.request, std::move(grant));
}

void Engine::State::perform(core::Refuse& refuse) {
  if (asked != nullptr && asked->request == refuse.request) {
    asked->answer.emplace(std::move(refuse));
    return;
  }
  deliver(refuse.request, std::move(refuse));
}

void Engine::State::deliver(RequestId request, Answer answer) {
  const auto found = waiting.find(request);
  DROVER_ASSERT(found != waiting.end());
  Asker asker = std::move(found->second);
  waiting.erase(found);
  send(std::move(asker.port),
       [ticket = asker.ticket, answer = std::move(answer)](Port::State& port) mutable {
         port.receive(ticket, std::move(answer));
       });
}

void Engine::State::perform(core::RevokeLease& revoke) {
  std::shared_ptr<Port::State>* const holder = leases.find(revoke.lease);
  DROVER_ASSERT(holder != nullptr);
  metrics.count_revoked();
  send(*holder, [lease = revoke.lease](Port::State& port) { port.revoke(lease); });
}

void Engine::State::perform(core::RefreshCatalogues&) {
  if (refresh) return refresh();
  dispatch(core::RefreshDone{});
}

void Engine::State::perform(core::HealthChanged& changed) {
  const std::string name = name_of(changed.backend);
  metrics.count_health_change(name, to_string(changed.to));
  const bool bad = changed.to == core::HealthState::kDown;
  const LogField fields[] = {{"instance", std::string_view(name)},
                             {"from", to_string(changed.from)},
                             {"to", to_string(changed.to)},
                             {"reason", std::string_view(changed.reason)}};
  log.write(bad ? LogLevel::kWarn : LogLevel::kInfo, "instance health", fields);
  publish_at = {};
  if (health_changed) health_changed(changed);
}

void Engine::State::perform(core::RestartInstance& order) {
  const std::string name = name_of(order.backend);
  metrics.count_restart(name, to_string(order.cause));
  log.warn("instance restart", {{"instance", std::string_view(name)},
                                {"cause", to_string(order.cause)},
                                {"reason", std::string_view(order.reason)}});
  if (restart) restart(order);
}

void Engine::State::perform(core::Canary& wanted) {
  const std::string name = name_of(wanted.backend);
  metrics.count_canary(name);
  log.info("instance canary", {{"instance", std::string_view(name)},
                               {"model", std::string_view(wanted.model.text())}});
  if (canary) return canary(wanted);
  dispatch(core::CanaryDone{wanted.backend, true, {}});
}

void Engine::State::perform(core::Load& wanted) {
  const std::string name = name_of(wanted.backend);
  metrics.count_load(name, to_string(wanted.reason));
  log.info("model load", {{"instance", std::string_view(name)},
                          {"model", std::string_view(wanted.model.text())},
                          {"reason", to_string(wanted.reason)}});
  if (load) return load(wanted);
  dispatch(core::LoadDone{wanted.backend, wanted.model, true, {}});
}

void Engine::State::perform(core::Unload& wanted) {
  const std::string name = name_of(wanted.backend);
  metrics.count_unload(name, to_string(wanted.reason));
  log.info("model unload", {{"instance", std::string_view(name)},
                            {"model", std::string_view(wanted.model.text())},
                            {"reason", to_string(wanted.reason)}});
  if (unload) unload(wanted);
}

void Engine::State::perform(core::Incident& incident) {
  const std::string name = name_of(incident.backend);
  const bool hang = incident.kind == core::Incident::Kind::kHang;
  if (hang) metrics.count_hang(name);
  if (!hang) metrics.count_fallback(name);
  log.warn(hang ? "instance hung" : "instance fell back to the cpu",
           {{"instance", std::string_view(name)}, {"detail", std::string_view(incident.detail)}});
}

std::string Engine::State::name_of(BackendId backend) const {
  return view.get()->backends[backend.value].name;
}

void Engine::State::perform(core::WakeAt& wake) { wake_at = wake.when; }

// --- Engine::State: what happens once a turn ---

// One coroutine for both: the snapshot that is due, after all events of this turn, and the Tick
// that the scheduler asked for. It is woken only for what comes sooner than what it waits for: most
// requests change nothing but counts, and a timer set anew for each of them would be a good part of
// their cost.
net::Task<void> Engine::State::housekeeping() {
  for (;;) {
    waits_until = std::min(wake_at, publish_at);
    const net::WaitResult result = co_await nudge->wait(waits_until);
    nudge->clear();
    waits_until = Instant::min();  // what happens now is seen below
    if (result == net::WaitResult::kTimedOut && home.now() >= wake_at) {
      wake_at = kNever;
      dispatch(core::Tick{});
    }
    if (home.now() >= publish_at) publish();
  }
}

// A copy of the whole fleet for each request would be a good part of its cost, and nobody reads so
// many: who decides does not read it.
void Engine::State::publish() {
  publish_at = kNever;
  last_publication = home.now();
  published = scheduler.generation();
  view.set(std::make_shared<const core::FleetView>(scheduler.view()));
}

void Engine::State::shut() {
  open = false;
  housekeeper.stop();
  nudge.reset();
  waiting.clear();
  leases.clear();
  refresh = nullptr;
  health_changed = nullptr;
  restart = nullptr;
  canary = nullptr;
  load = nullptr;
  unload = nullptr;
}

}  // namespace drover::engine
