#pragma once
// For tests of core and above: a fleet driven by hand. Reads as a script: what happens to which
// instance, what becomes of which request. Time moves only by pass(), which sends the Ticks that
// were asked for at their instants; refreshes of catalogues are answered by the test.

#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/scheduler.h"

namespace drover::core::testing {

using namespace std::chrono_literals;
using Kind = Observed::Kind;

inline std::vector<BackendSpec> specs(std::uint32_t count, std::uint32_t max_in_flight = 512) {
  std::vector<BackendSpec> all;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string name = "gpu" + std::to_string(i);
    all.push_back({BackendId{i}, name, "http://" + name + ":11434", max_in_flight});
  }
  return all;
}

inline std::shared_ptr<const Catalogue> catalogue(std::initializer_list<std::string_view> names) {
  auto all = std::make_shared<Catalogue>();
  for (const std::string_view name : names) {
    InstalledModel model;
    model.name = ModelName::canonical(name);
    model.shown_name = name;
    model.digest = "sha256:" + std::string(name);
    all->push_back(std::move(model));
  }
  return all;
}

inline std::shared_ptr<const Residency> residency(std::initializer_list<std::string_view> names) {
  auto all = std::make_shared<Residency>();
  for (const std::string_view name : names) {
    LoadedModel model;
    model.name = ModelName::canonical(name);
    all->push_back(std::move(model));
  }
  return all;
}

inline Ask ask_for(std::string_view model) {
  Ask ask;
  ask.model = ModelName::canonical(model);
  ask.model_as_sent = model;
  return ask;
}

// What became of one request so far.
struct Asked {
  RequestId request;
  std::optional<Grant> granted;
  std::optional<Refuse> refused;

  bool waits() const { return !granted && !refused; }
  int at() const { return granted ? static_cast<int>(granted->backend.value) : -1; }
  ErrorKind kind() const { return refused->error.kind; }
  const std::string& message() const { return refused->error.message; }
};

class Script {
 public:
  explicit Script(std::uint32_t instances, Settings settings = {},
                  std::uint32_t max_in_flight = 512)
      : scheduler_(settings, specs(instances, max_in_flight)) {}
  explicit Script(std::vector<BackendSpec> specs, Settings settings = {})
      : scheduler_(settings, std::move(specs)) {}

  Instant now = Instant(1000s);
  Effects effects;  // of the latest event

  // --- checks ---
  void sees(std::uint32_t backend, Kind kind, std::string detail = {}) {
    send(Observed{BackendId{backend}, kind, nullptr, nullptr, {}, std::move(detail)});
  }
  void answers(std::uint32_t backend) { sees(backend, Kind::kAnswered); }
  void refuses(std::uint32_t backend) { sees(backend, Kind::kRefused, "connection refused"); }
  void misses(std::uint32_t backend) { sees(backend, Kind::kMissed, "timed out"); }
  void has(std::uint32_t backend, std::initializer_list<std::string_view> models) {
    send(Observed{BackendId{backend}, Kind::kCatalogue, catalogue(models), nullptr, {}, {}});
  }
  void has_loaded(std::uint32_t backend, std::initializer_list<std::string_view> models) {
    send(Observed{BackendId{backend}, Kind::kResidency, nullptr, residency(models), {}, {}});
  }
  void all_have(std::initializer_list<std::string_view> models) {
    const std::size_t count = scheduler_.view().backends.size();
    for (std::uint32_t i = 0; i < count; ++i) has(i, models);
  }

  // --- requests ---
  Asked ask(std::string_view model) { return ask({RequestId{++last_request_}, ask_for(model)}); }
  Asked retry(const Asked& before, std::string_view model, RetryCause cause, std::uint32_t attempt,
              std::vector<BackendId> tried) {
    return ask({before.request, ask_for(model), cause, attempt, std::move(tried)});
  }
  Asked ask(RequestArrived arrived) {
    const RequestId request = arrived.request;
    answers_.erase(request);
    send(std::move(arrived));
    return outcome(request);
  }
  Asked outcome(const Asked& asked) { return outcome(asked.request); }
  Asked outcome(RequestId request) {
    const auto found = answers_.find(request);
    return found == answers_.end() ? Asked{request, {}, {}} : found->second;
  }
  void gone(const Asked& asked) { send(RequestGone{asked.request}); }
  void progress(const Asked& asked, std::uint64_t tokens = 1) {
    send(LeaseProgress{asked.granted->lease, tokens});
  }
  void served(const Asked& asked, Usage usage) {
    send(LeaseSettled{asked.granted->lease, AttemptResult::kServed, {}, usage});
  }
  void first_byte(const Asked& asked) { send(LeaseFirstByte{asked.granted->lease}); }
  void ends(const Asked& asked, AttemptResult result) {
    send(LeaseSettled{asked.granted->lease, result, "it " + std::string(to_string(result)), {}});
  }
  void served(const Asked& asked) { ends(asked, AttemptResult::kServed); }
  void failed(const Asked& asked) { ends(asked, AttemptResult::kFailed); }

  // --- the keeper's side ---
  void process(std::uint32_t backend, std::uint64_t starts, Duration cpu = {}) {
    send(
        ProcessObserved{BackendId{backend},
                        {.state = ProcessState::kRunning, .pid = 1, .starts = starts, .cpu = cpu}});
  }
  void restart(std::uint32_t backend, std::optional<Duration> grace = {}) {
    send(RestartRequested{BackendId{backend}, RestartCause::kOperator, "asked for", grace});
  }
  void canary(std::uint32_t backend, bool answered) {
    send(CanaryDone{BackendId{backend}, answered, answered ? "" : "no answer in 4 s"});
  }

  // --- everything else ---
  void drain(std::uint32_t backend, bool draining) {
    send(DrainChanged{BackendId{backend}, draining});
  }
  void refresh_done() { send(RefreshDone{}); }
  void pass(Duration time) {
    const Instant until = now + time;
    while (wake_at_ <= until) {
      now = wake_at_;
      wake_at_ = kNever;
      send(Tick{});
    }
    now = until;
  }
  // `time` in steps, an HTTP answer of each of `backends` at the end of each step.
  void pass_with_checks(Duration time, std::initializer_list<std::uint32_t> backends,
                        Duration step = 2s) {
    for (Duration done{}; done < time; done += step) {
      pass(step);
      for (const std::uint32_t backend : backends) answers(backend);
    }
  }
  void send(Event event) {
    effects.clear();
    scheduler_.handle(event, now, effects);
    for (const Effect& effect : effects) note(effect);
  }

  // --- what is known ---
  BackendView view(std::uint32_t backend) const { return scheduler_.view().backends[backend]; }
  HealthState health(std::uint32_t backend) const { return view(backend).health; }
  FleetView fleet() const { return scheduler_.view(); }
  int refreshes() const { return refreshes_; }
  // Since the last call of forget().
  const std::vector<RestartInstance>& restarts() const { return restarts_; }
  const std::vector<Canary>& canaries() const { return canaries_; }
  const std::vector<Load>& loads() const { return loads_; }
  const std::vector<Unload>& unloads() const { return unloads_; }
  const std::vector<Incident>& incidents() const { return incidents_; }
  void forget() {
    restarts_.clear();
    canaries_.clear();
    loads_.clear();
    unloads_.clear();
    incidents_.clear();
  }
  const std::vector<LeaseId>& revoked() const { return revoked_; }

 private:
  void note(const Effect& effect) {
    if (const auto* grant = std::get_if<Grant>(&effect)) {
      answers_[grant->request] = {grant->request, *grant, {}};
    } else if (const auto* refuse = std::get_if<Refuse>(&effect)) {
      answers_[refuse->request] = {refuse->request, {}, *refuse};
    } else if (const auto* revoke = std::get_if<RevokeLease>(&effect)) {
      revoked_.push_back(revoke->lease);
    } else if (std::holds_alternative<RefreshCatalogues>(effect)) {
      ++refreshes_;
    } else if (const auto* restart = std::get_if<RestartInstance>(&effect)) {
      restarts_.push_back(*restart);
    } else if (const auto* canary = std::get_if<Canary>(&effect)) {
      canaries_.push_back(*canary);
    } else if (const auto* load = std::get_if<Load>(&effect)) {
      loads_.push_back(*load);
    } else if (const auto* unload = std::get_if<Unload>(&effect)) {
      unloads_.push_back(*unload);
    } else if (const auto* incident = std::get_if<Incident>(&effect)) {
      incidents_.push_back(*incident);
    } else if (const auto* wake = std::get_if<WakeAt>(&effect)) {
      wake_at_ = wake->when;
    }
  }

  Scheduler scheduler_;
  std::uint64_t last_request_ = 0;
  std::map<RequestId, Asked> answers_;
  std::vector<LeaseId> revoked_;
  std::vector<RestartInstance> restarts_;
  std::vector<Canary> canaries_;
  std::vector<Load> loads_;
  std::vector<Unload> unloads_;
  std::vector<Incident> incidents_;
  int refreshes_ = 0;
  Instant wake_at_ = kNever;
};

}  // namespace drover::core::testing
