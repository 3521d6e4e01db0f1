#include "engine/metrics.h"

namespace drover::engine {
namespace {

constexpr std::string_view kOther = "other";

template <class Map>
auto& cell(Map& map, std::string_view name) {
  const auto found = map.find(name);
  return found != map.end() ? found->second : map.try_emplace(std::string(name)).first->second;
}

}  // namespace

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::kServed:
      return "served";
    case Outcome::kRefused:
      return "refused";
    case Outcome::kClientGone:
      return "client_gone";
    case Outcome::kFailed:
      return "failed";
    case Outcome::kBroken:
      return "broken";
  }
  return "unknown";
}

std::string_view Metrics::label_of(const RequestRecord& record) {
  if (record.model.empty() || models_.contains(record.model)) return record.model;
  if (record.backend.empty() || models_.size() == kMaxModels) return kOther;
  models_.insert(record.model);
  return record.model;
}

// The counts of requests like this one. The next one is often like the last.
void Metrics::find_like(const RequestRecord& record) {
  const KeyOrder::View as_asked{record.route, record.model, record.backend, record.status};
  if (last_ != requests_.end() && KeyOrder::view(last_->first) == as_asked) return;
  const KeyOrder::View key{record.route, label_of(record), record.backend, record.status};
  last_ = requests_.find(key);
  if (last_ == requests_.end()) {
    const auto& [route, model, backend, status] = key;
    RequestKey stored{std::string(route), std::string(model), std::string(backend), status};
    last_ = requests_.emplace(std::move(stored), 0).first;
  }
  last_route_ = &cell(routes_, record.route);
}

void Metrics::record(const RequestRecord& record) {
  find_like(record);
  ++last_->second;
  ++outcomes_[static_cast<std::size_t>(record.outcome)];
  if (record.outcome == Outcome::kRefused) ++cell(refusals_, record.reason);

  PerRoute& route = *last_route_;
  route.duration.observe(to_seconds(record.total));
  if (record.first_byte > Duration::zero()) {
    route.first_byte.observe(to_seconds(record.first_byte));
  }
  if (!record.backend.empty()) route.queued.observe(to_seconds(record.queued));

  retries_ += record.retries;
  stale_connections_ += record.stale_connections;
  prompt_tokens_ += record.usage.prompt_tokens;
  output_tokens_ += record.usage.output_tokens;
}

void Metrics::count_malformed(std::string_view reason) { ++cell(malformed_, reason); }

void Metrics::count_health_change(std::string_view backend, std::string_view to) {
  ++health_changes_[{std::string(backend), std::string(to)}];
}

void Metrics::count_restart(std::string_view backend, std::string_view cause) {
  ++restarts_[{std::string(backend), std::string(cause)}];
}

void Metrics::count_job(std::string_view verb, std::string_view result) {
  ++jobs_[{std::string(verb), std::string(result)}];
}

void Metrics::count_reload(std::string_view model, std::string_view cause,
                           std::string_view client) {
  Reloads::key_type key{std::string(model), std::string(cause), std::string(client)};
  const bool counted = reloads_.size() < kMaxReloads || reloads_.contains(key);
  if (!counted) key = {"other", std::string(cause), "other"};
  ++reloads_[key];
}

void Metrics::count_unload(std::string_view backend, std::string_view reason) {
  ++unloads_[{std::string(backend), std::string(reason)}];
}

void Metrics::count_load(std::string_view backend, std::string_view reason) {
  ++loads_[{std::string(backend), std::string(reason)}];
}

void Metrics::count_canary(std::string_view backend) { ++cell(canaries_, backend); }
void Metrics::count_hang(std::string_view backend) { ++cell(hangs_, backend); }
void Metrics::count_fallback(std::string_view backend) { ++cell(fallbacks_, backend); }

}  // namespace drover::engine
