#include "app/translate.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <map>

namespace drover::app {
namespace {

net::HostPort to_net(const config::HostPort& address) { return {address.host, address.port}; }

const std::string kOwnStore = "own";  // of the instances that drover runs

std::string own_hostname() {
  char name[256] = {};
  if (::gethostname(name, sizeof(name) - 1) != 0) return {};
  return name;
}

core::PolicyName to_core(config::Policy policy) {
  switch (policy) {
    case config::Policy::kRoundRobin:
      return core::PolicyName::kRoundRobin;
    case config::Policy::kLeastLoaded:
      return core::PolicyName::kLeastLoaded;
    case config::Policy::kExpectedCompletion:
      return core::PolicyName::kExpectedCompletion;
  }
  return core::PolicyName::kLeastLoaded;
}

core::OptionsRule to_core(config::NumCtxRule rule) {
  switch (rule) {
    case config::NumCtxRule::kNormalise:
      return core::OptionsRule::kNormalise;
    case config::NumCtxRule::kPass:
      return core::OptionsRule::kPass;
    case config::NumCtxRule::kRefuse:
      return core::OptionsRule::kRefuse;
  }
  return core::OptionsRule::kNormalise;
}

core::VariantRules variant_rules(const config::Config& config) {
  core::VariantRules rules;
  rules.rule = to_core(config.num_ctx.rule);
  rules.steps.assign(config.num_ctx.steps.begin(), config.num_ctx.steps.end());
  for (const config::Model& model : config.models) {
    if (model.num_ctx) rules.models[ModelName::canonical(model.name)] = to_core(*model.num_ctx);
  }
  return rules;
}

}  // namespace

core::Settings core_settings(const config::Config& config, std::uint64_t seed) {
  core::Settings settings;
  settings.policy = to_core(config.policy);
  settings.max_retries = config.retries.max;
  settings.retry_budget = config.retries.budget;
  settings.retry_budget_min = config.retries.budget_min;
  settings.max_queued = config.queue.requests;
  settings.max_queued_bytes = config.queue.bytes;
  settings.queue_wait = config.queue.wait;
  settings.check_interval = config.timeouts.check_interval;
  settings.refresh_wait = config.timeouts.check_timeout;
  settings.drain_grace = config.timeouts.drain;
  settings.variants = variant_rules(config);
  settings.hang.token_gap = config.timeouts.token_gap;
  settings.hang.document = config.timeouts.document;
  settings.hang.prefill_max = config.timeouts.first_token;
  for (const jobs::Wanted& wanted : wanted_models(config)) {
    if (wanted.loaded == 0 && wanted.pinned.empty()) continue;
    settings.stays.push_back(
        {wanted.model, static_cast<std::uint32_t>(wanted.loaded), wanted.pinned});
  }
  settings.seed = seed;
  return settings;
}

std::vector<core::BackendSpec> backend_specs(
    const config::Config& config, const std::vector<keeper::SupervisedInstance>& supervised) {
  std::vector<core::BackendSpec> specs;
  for (const config::Backend& backend : config.backends) {
    const BackendId id{static_cast<std::uint32_t>(specs.size())};
    specs.push_back({id, backend.name, backend.url, backend.max_in_flight});
    if (backend.parallel) {
      specs.back().slots = *backend.parallel;
      specs.back().slots_are_told = true;
    }
  }
  const std::size_t first = specs.size() - supervised.size();
  for (std::size_t i = 0; i < supervised.size(); ++i) {
    core::BackendSpec& spec = specs[first + i];
    spec.supervised = true;
    spec.slots = supervised[i].parallel;
    spec.placement = supervised[i].spanning ? core::Placement::kSpanning : core::Placement::kPinned;
    spec.gpus = supervised[i].gpus;
  }
  return specs;
}

gateway::Settings gateway_settings(const config::Config& config) {
  gateway::Settings settings;
  const config::Limits& limits = config.limits;
  settings.limits.head.max_bytes = limits.head_bytes;
  settings.limits.head.max_fields = limits.fields;
  settings.limits.head.max_target = limits.target_bytes;
  settings.limits.body_bytes = limits.body_bytes;
  settings.limits.spill_bytes = limits.spill_bytes;
  settings.limits.body_memory_bytes = limits.body_memory;
  settings.limits.spill_dir = limits.spill_dir;
  settings.limits.connections = limits.connections;
  settings.deadlines.head = limits.head_timeout;
  settings.deadlines.idle = limits.idle_timeout;
  settings.deadlines.body_window = limits.body_stall_timeout;
  settings.deadlines.write_stall = limits.write_stall_timeout;
  settings.deadlines.first_token = config.timeouts.first_token;
  settings.deadlines.document = config.timeouts.document;
  settings.deadlines.token_gap = config.timeouts.token_gap;
  settings.access.hosts = config.allowed_hosts;
  settings.access.origins = config.allowed_origins;
  settings.access.hostname = own_hostname();
  for (const char c : config.fairness.tenant_header.value_or("")) {
    settings.tenant_header += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  settings.hears_priorities = config.fairness.priorities == config::Priorities::kByHeader;
  settings.names_beginnings = config.policy == config::Policy::kExpectedCompletion;
  for (const config::Alias& alias : config.aliases) {
    settings.aliases.emplace(ModelName::canonical(alias.name), gateway::Alias{alias.models});
  }
  settings.wants_usage = config.policy == config::Policy::kExpectedCompletion;
  settings.least_keep_alive = config.least_keep_alive;
  for (const config::Model& model : config.models) {
    const bool stays = model.preload > 0 || !model.pin.empty();
    if (stays) settings.stay_loaded.insert(ModelName::canonical(model.name));
  }
  // A client may call it by an alias.
  for (const config::Alias& alias : config.aliases) {
    const bool stays = std::ranges::any_of(alias.models, [&](const auto& model) {
      return settings.stay_loaded.contains(ModelName::canonical(model));
    });
    if (stays) settings.stay_loaded.insert(ModelName::canonical(alias.name));
  }
  settings.list_aliases = config.list_aliases == config::AliasListing::kAlways;
  for (const std::string& network : config.trust) {
    settings.access.trust.push_back(net::Network::parse(network).value());
  }
  for (const config::Backend& backend : config.backends) {
    const BackendId id{static_cast<std::uint32_t>(settings.instances.size())};
    const net::HostPort address = to_net(backend.address);
    settings.instances.push_back({id, backend.name, address, address.to_string()});
    if (config.identity == backend.name) settings.identity = id;
  }
  return settings;
}

std::vector<jobs::Wanted> wanted_models(const config::Config& config) {
  std::vector<jobs::Wanted> all;
  for (const config::Model& model : config.models) {
    if (!model.copies && model.preload == 0 && model.pin.empty()) continue;
    jobs::Wanted& wanted = all.emplace_back();
    wanted.shown = model.name;
    wanted.model = ModelName::canonical(model.name);
    wanted.stores = model.copies;
    wanted.loaded = model.preload;
    for (std::size_t i = 0; i < config.backends.size(); ++i) {
      if (std::ranges::find(model.pin, config.backends[i].name) == model.pin.end()) continue;
      wanted.pinned.push_back(BackendId{static_cast<std::uint32_t>(i)});
    }
  }
  return all;
}

std::vector<std::string> vain_pins(const config::Config& config) {
  std::vector<std::string> vain;
  for (const config::Model& model : config.models) {
    for (const std::string& name : model.pin) {
      const bool there =
          std::ranges::find(config.backends, name, &config::Backend::name) != config.backends.end();
      if (!there) vain.push_back(model.name + " on " + name);
    }
  }
  return vain;
}

jobs::Settings jobs_settings(const config::Config& config,
                             const std::vector<keeper::SupervisedInstance>& supervised) {
  jobs::Settings settings;
  settings.connect = config.timeouts.connect;
  settings.silence = config.timeouts.document;
  settings.wanted = wanted_models(config);
  const std::size_t foreign = config.backends.size() - supervised.size();
  std::map<std::string, std::size_t> shared;  // place in settings.stores, by the store's name
  for (std::size_t i = 0; i < config.backends.size(); ++i) {
    const config::Backend& backend = config.backends[i];
    const std::string& store = i < foreign ? backend.store : kOwnStore;
    const jobs::Member member{BackendId{static_cast<std::uint32_t>(i)}, backend.name,
                              to_net(backend.address)};
    const auto found = shared.find(store);
    if (!store.empty() && found != shared.end()) {
      jobs::Store& known = settings.stores[found->second];
      known.members.push_back(member);
      if (known.directory.empty()) known.directory = backend.models;
      continue;
    }
    if (!store.empty()) shared.emplace(store, settings.stores.size());
    const std::string directory =
        i < foreign ? backend.models : config.ollama.models.value_or(std::string());
    settings.stores.push_back({store.empty() ? backend.name : store, {member}, directory});
  }
  settings.copies_between_stores = config.copy_between_stores == config::StoreCopies::kAlways;
  return settings;
}

net::PoolLimits pool_limits(const config::Config& config) {
  net::PoolLimits limits;
  limits.connect_timeout = config.timeouts.connect;
  return limits;
}

probe::ProbeSettings probe_settings(const config::Config& config, std::uint64_t seed) {
  probe::ProbeSettings settings;
  settings.interval = config.timeouts.check_interval;
  settings.check_timeout = config.timeouts.check_timeout;
  settings.residency_timeout = config.timeouts.residency_timeout;
  settings.seed = seed;
  return settings;
}

std::vector<probe::ProbeTarget> probe_targets(const config::Config& config) {
  std::vector<probe::ProbeTarget> targets;
  for (const config::Backend& backend : config.backends) {
    const BackendId id{static_cast<std::uint32_t>(targets.size())};
    targets.push_back({id, to_net(backend.address)});
  }
  return targets;
}

}  // namespace drover::app
