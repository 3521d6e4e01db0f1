#include "probe/probe.h"

#include <fmt/format.h>

#include <algorithm>

#include "probe/http_get.h"
#include "wire/catalogue.h"
#include "wire/dialect.h"

namespace drover::probe {
namespace {

using core::Observed;

Observed missed(BackendId id, const Error& error) {
  Observed seen{id, Observed::Kind::kMissed, nullptr, nullptr, {}, error.message};
  if (error.kind == ErrorKind::kRefused) seen.kind = Observed::Kind::kRefused;
  return seen;
}

// A check is passed by what Ollama would answer, not by any HTTP: a captive portal is no instance.
Result<std::shared_ptr<const core::Catalogue>> read_catalogue(const GetAnswer& answer) {
  if (answer.status != 200) {
    return Error{ErrorKind::kUpstream, Origin::kInstance, Retry::kSafe,
                 fmt::format("/api/tags answered with status {}", answer.status)};
  }
  Result<std::vector<InstalledModel>> models = wire::read_tags(answer.body);
  if (!models) return std::move(models).error();
  std::sort(models->begin(), models->end(),
            [](const InstalledModel& a, const InstalledModel& b) { return a.name < b.name; });
  return std::make_shared<const core::Catalogue>(std::move(*models));
}

}  // namespace

Probe::Probe(net::Loop& loop, net::Resolver& resolver, engine::Engine& engine,
             ProbeSettings settings, std::vector<ProbeTarget> targets)
    : loop_(loop),
      resolver_(resolver),
      engine_(engine),
      settings_(settings),
      targets_(std::move(targets)),
      version_known_(targets_.size(), false),
      catalogue_of_(targets_.size(), 0),
      residency_of_(targets_.size(), 0),
      rng_(settings.seed) {}

void Probe::start() {
  for (const ProbeTarget& target : targets_) {
    loop_.spawn(check_rounds(target));
    loop_.spawn(residency_rounds(target));
  }
}

void Probe::stop() { stop_.trigger(net::CancelReason::kShutdown); }

Instant Probe::next_round() {
  const double factor = 1.0 + settings_.jitter * (2.0 * rng_.unit() - 1.0);
  return loop_.now() + std::chrono::duration_cast<Duration>(settings_.interval * factor);
}

net::Task<void> Probe::check_rounds(ProbeTarget target) {
  while (!stop_.triggered()) {
    const Instant next = next_round();
    co_await check(target, Miss::kTold);
    co_await loop_.sleep_until(next, &stop_);
  }
}

net::Task<void> Probe::check(ProbeTarget target, Miss miss) {
  const std::uint64_t begun_in = refreshes_;
  const std::uint64_t question = ++questions_;
  Result<GetAnswer> answer = co_await http_get(loop_, resolver_, target.address, "/api/tags",
                                               loop_.now() + settings_.check_timeout, &stop_);
  if (stop_.triggered()) co_return;
  Error error;
  if (answer) {
    Result<std::shared_ptr<const core::Catalogue>> catalogue = read_catalogue(*answer);
    if (catalogue) {
      // Asked before a refresh began, it may not know what the refresh is about: it must not pass
      // for that refresh's answer, which is on its way.
      std::uint64_t& newest = catalogue_of_[target.id.value];
      const bool outdated = begun_in != refreshes_ || question < newest;
      newest = std::max(newest, question);
      const auto kind = outdated ? Observed::Kind::kAnswered : Observed::Kind::kCatalogue;
      engine_.observe({target.id, kind, std::move(*catalogue), nullptr, {}, {}});
      co_await learn_version(target);
      co_return;
    }
    error = std::move(catalogue).error();
  } else {
    error = std::move(answer).error();
  }
  // Not asked, for want of a descriptor here: nothing is known, neither good nor bad.
  if (error.origin == Origin::kSelf) co_return;
  if (miss == Miss::kKept && error.kind != ErrorKind::kRefused) co_return;
  version_known_[target.id.value] = false;
  engine_.observe(missed(target.id, error));
}

net::Task<void> Probe::learn_version(ProbeTarget target) {
  if (version_known_[target.id.value]) co_return;
  Result<GetAnswer> answer = co_await http_get(loop_, resolver_, target.address, "/api/version",
                                               loop_.now() + settings_.check_timeout, &stop_);
  if (!answer || stop_.triggered()) co_return;
  Result<std::string> version = wire::read_version(answer->body);
  if (!version) co_return;
  version_known_[target.id.value] = true;
  engine_.observe({target.id, Observed::Kind::kVersion, nullptr, nullptr, std::move(*version), {}});
}

net::Task<void> Probe::residency_rounds(ProbeTarget target) {
  while (!stop_.triggered()) {
    const Instant next = next_round();
    co_await look_at_residency(target, Miss::kTold);
    co_await loop_.sleep_until(next, &stop_);
  }
}

net::Task<void> Probe::look_at_residency(ProbeTarget target, Miss miss) {
  const std::uint64_t question = ++questions_;
  Result<GetAnswer> answer = co_await http_get(loop_, resolver_, target.address, "/api/ps",
                                               loop_.now() + settings_.residency_timeout, &stop_);
  if (stop_.triggered()) co_return;
  // A server without this route is not wedged; what it has loaded stays unknown.
  const bool has_route = !answer || answer->status != 404;
  const bool asked = answer || answer.error().origin != Origin::kSelf;
  Result<std::vector<LoadedModel>> models =
      answer ? wire::read_ps(answer->body) : Result<std::vector<LoadedModel>>(answer.error());
  std::uint64_t& newest = residency_of_[target.id.value];
  if (models && question < newest) co_return;
  if (models) newest = question;
  if (has_route && models) {
    engine_.observe({target.id,
                     Observed::Kind::kResidency,
                     nullptr,
                     std::make_shared<const core::Residency>(std::move(*models)),
                     {},
                     {}});
  } else if (miss == Miss::kTold && has_route && asked &&
             models.error().kind != ErrorKind::kRefused) {
    // A refused connection is the check's to tell.
    engine_.observe({target.id,
                     Observed::Kind::kResidencyMissed,
                     nullptr,
                     nullptr,
                     {},
                     models.error().message});
  }
}

// --- what the core wants said ---

void Probe::canary(const core::Canary& wanted) {
  loop_.spawn(sing(targets_[wanted.backend.value], wanted));
}

// Only options that do not belong to the load, or the instance would load the model anew; so the
// context is named exactly when clients name it. No keep_alive either: it would change everybody's.
net::Task<void> Probe::sing(ProbeTarget target, core::Canary wanted) {
  const std::string context =
      wanted.num_ctx ? fmt::format(",\"num_ctx\":{}", *wanted.num_ctx) : std::string();
  std::string body = fmt::format(
      "{{\"model\":{},\"prompt\":\"1\",\"stream\":false,\"options\":{{\"num_predict\":1{}}}}}",
      wire::json_quote(wanted.model.text()), context);
  Result<GetAnswer> answer =
      co_await http_post(loop_, resolver_, target.address, "/api/generate", std::move(body),
                         loop_.now() + settings_.canary_timeout, &stop_);
  if (stop_.triggered()) co_return;
  // What drover itself could not send proves nothing about the instance either.
  const bool asked = answer || answer.error().origin != Origin::kSelf;
  core::CanaryDone done{target.id, answer || !asked, answer ? "" : answer.error().message};
  // A token, or an answer that proves nothing about the runner: a model that cannot generate (400),
  // a full queue (503). Nobody is restarted for want of a proof.
  if (answer && answer->status >= 500 && answer->status != 503) {
    done = {target.id, false, fmt::format("status {}", answer->status)};
  }
  engine_.canary_done(std::move(done));
}

void Probe::load(const core::Load& wanted) {
  loop_.spawn(bring_in(targets_[wanted.backend.value], wanted));
}

// An empty request. A model that cannot generate (400) is asked to embed nothing. No keep_alive:
// how long it stays without being asked is the instance's own rule.
net::Task<void> Probe::bring_in(ProbeTarget target, core::Load wanted) {
  const std::string model = wire::json_quote(wanted.model.text());
  const Instant deadline = loop_.now() + settings_.load_timeout;
  Result<GetAnswer> answer =
      co_await http_post(loop_, resolver_, target.address, "/api/generate",
                         fmt::format("{{\"model\":{},\"stream\":false}}", model), deadline, &stop_);
  if (!stop_.triggered() && answer && answer->status == 400) {
    answer =
        co_await http_post(loop_, resolver_, target.address, "/api/embed",
                           fmt::format("{{\"model\":{},\"input\":[]}}", model), deadline, &stop_);
  }
  if (stop_.triggered()) co_return;
  core::LoadDone done{target.id, wanted.model, answer && answer->status == 200, {}};
  if (!answer) done.detail = answer.error().message;
  if (answer && !done.loaded) done.detail = fmt::format("status {}", answer->status);
  engine_.load_done(std::move(done));
  co_await look_at_residency(target, Miss::kKept);
}

void Probe::unload(const core::Unload& wanted) {
  loop_.spawn(take_out(targets_[wanted.backend.value], wanted));
}

// Whether it worked is what /api/ps says afterwards.
net::Task<void> Probe::take_out(ProbeTarget target, core::Unload wanted) {
  std::string body = fmt::format("{{\"model\":{},\"keep_alive\":0,\"stream\":false}}",
                                 wire::json_quote(wanted.model.text()));
  Result<GetAnswer> answer =
      co_await http_post(loop_, resolver_, target.address, "/api/generate", std::move(body),
                         loop_.now() + settings_.unload_timeout, &stop_);
  if (stop_.triggered()) co_return;
  co_await look_at_residency(target, Miss::kKept);
}

void Probe::refresh() {
  ++refreshes_;
  auto outstanding = std::make_shared<std::size_t>(targets_.size());
  for (const ProbeTarget& target : targets_) loop_.spawn(refresh_one(target, outstanding));
  if (targets_.empty()) engine_.refresh_done();
}

net::Task<void> Probe::refresh_one(ProbeTarget target, std::shared_ptr<std::size_t> outstanding) {
  co_await check(target, Miss::kKept);
  if (--*outstanding == 0) engine_.refresh_done();
}

// How many are still under way, and who waits for them.
struct Probe::Looks {
  explicit Looks(net::Loop& loop) : done(loop) {}
  std::size_t open = 0;
  net::Event done;
};

net::Task<void> Probe::look_again() {
  auto looks = std::make_shared<Looks>(loop_);
  const std::shared_ptr<const core::FleetView> fleet = engine_.view();
  for (const ProbeTarget& target : targets_) {
    if (fleet->backends[target.id.value].health == core::HealthState::kDown) continue;
    ++looks->open;
    loop_.spawn(look_once(target, looks));
  }
  if (looks->open > 0) co_await looks->done.wait(kNever, &stop_);
}

net::Task<void> Probe::look_once(ProbeTarget target, std::shared_ptr<Looks> looks) {
  co_await check(target, Miss::kKept);
  co_await look_at_residency(target, Miss::kKept);
  if (--looks->open == 0) looks->done.set();
}

}  // namespace drover::probe
