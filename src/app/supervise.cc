#include "app/supervise.h"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <random>

#include "app/places.h"
#include "core/restart_policy.h"
#include "keeper/model_store.h"
#include "keeper/plan.h"
#include "keeper/process_tree.h"
#include "net/epoll_loop.h"

extern char** environ;

namespace drover::app {
namespace {

class CoreRestartRule final : public keeper::RestartRule {
 public:
  explicit CoreRestartRule(std::uint64_t seed) : policy_(core::RestartRules{}, seed) {}
  Verdict failed(Instant now, std::string_view why) override {
    core::RestartVerdict verdict = policy_.failed(now, why);
    return {verdict.action == core::RestartVerdict::Action::kQuarantine, verdict.wait,
            std::move(verdict.reason)};
  }
  void served() override { policy_.served(); }
  void forgive() override { policy_.forgive(); }

 private:
  core::RestartPolicy policy_;
};

// Nobody may be asked while something else holds the port.
bool port_is_free(std::uint16_t port) {
  const auto at = net::Endpoint::from_literal("127.0.0.1", port);
  Result<int> fd = net::listening_socket(*at, {});
  if (!fd) return false;
  ::close(*fd);
  return true;
}

// What every instance gets, before its plan.
std::vector<std::string> instance_environment(const keeper::ModelStore& store) {
  std::vector<std::string> all;
  for (const std::string& entry : plain_environment()) {
    // It writes every prompt to a file without a limit.
    if (!entry.starts_with("OLLAMA_DEBUG_LOG_REQUESTS=")) all.push_back(entry);
  }
  const auto self = keeper::identify(::getpid());
  DROVER_ASSERT(self.has_value());
  all.push_back(fmt::format("{}={}", keeper::kKeeperMark, self->to_string()));
  if (const passwd* user = store.user.empty() ? nullptr : ::getpwnam(store.user.c_str())) {
    all.push_back(fmt::format("HOME={}", user->pw_dir));
    all.push_back(fmt::format("USER={}", store.user));
  }
  return all;
}

std::string placed_on(const keeper::InstancePlan& plan, const GpuReport& gpus) {
  if (plan.gpus.empty()) return "the CPU";
  if (plan.spanning) return "all GPUs, for models that fit on no single one";
  std::string text;
  for (const std::string& uuid : plan.gpus) {
    const auto found = std::ranges::find(gpus.gpus, uuid, &Gpu::uuid);
    if (!text.empty()) text += " and ";
    text += found == gpus.gpus.end() ? uuid : fmt::format("{} ({})", found->name, uuid);
  }
  return text;
}

}  // namespace

bool wants_supervision(const config::Config& config, std::size_t found) {
  switch (config.ollama.supervise) {
    case config::Supervise::kAlways:
      return true;
    case config::Supervise::kNever:
      return false;
    case config::Supervise::kAuto:
      break;
  }
  return found == 0;
}

Result<Supervision> plan_supervision(const config::Config& config, const GpuReport& gpus,
                                     const config::Environment& environment,
                                     const std::string& drover) {
  Result<std::string> ollama = find_ollama(config.ollama, environment);
  if (!ollama) return std::move(ollama).error();
  std::map<std::string, std::string> variables;
  for (const char* name : {"OLLAMA_MODELS", "HOME"}) {
    if (const auto value = environment(name)) variables[name] = *value;
  }
  Result<keeper::ModelStore> store =
      keeper::find_model_store({config.ollama.models, variables, ""});
  if (!store) return std::move(store).error();
  std::vector<std::string> names;
  for (const config::Backend& backend : config.backends) names.push_back(backend.name);
  Result<keeper::Plan> plan = keeper::make_plan({config.ollama, gpus, *store, names, port_is_free});
  if (!plan) return std::move(plan).error();
  const std::string logs = log_dir(state_dir(config, environment));
  Result<void> made = make_directory(logs);
  if (!made) return std::move(made).error();

  Supervision all;
  all.said = fmt::format("drover runs {} on the models in {} ({}{}):\n", *ollama, store->path,
                         store->origin,
                         store->user.empty() ? "" : fmt::format(", as user {}", store->user));
  const std::vector<std::string> base = instance_environment(*store);
  for (const keeper::InstancePlan& each : plan->instances) {
    all.told.push_back({each.name, fmt::format("http://127.0.0.1:{}", each.port), each.gpus,
                        each.spanning, plan->parallel});
    all.said +=
        fmt::format("  {:<12} 127.0.0.1:{}  {}\n", each.name, each.port, placed_on(each, gpus));
    all.instances.push_back({each,
                             drover,
                             *ollama,
                             store->user,
                             base,
                             config.ollama.start_timeout,
                             config.ollama.stop_timeout,
                             {fmt::format("{}/{}.log", logs, each.name), config.ollama.log_bytes}});
  }
  using Notes = std::vector<std::string>;
  for (const Notes* notes : std::initializer_list<const Notes*>{
           &gpus.problems, &std::as_const(store->notes), &std::as_const(plan->notes)}) {
    for (const std::string& note : *notes) all.said += fmt::format("  note: {}\n", note);
  }
  return all;
}

std::unique_ptr<keeper::RestartRule> make_restart_rule() {
  std::random_device chance;
  return std::make_unique<CoreRestartRule>(chance());
}

std::vector<std::string> plain_environment() {
  // Who gets them could speak for us to systemd, or take our sockets for its own.
  constexpr std::string_view kOurs[] = {"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC",
                                        "LISTEN_PID",    "LISTEN_FDS",   "LISTEN_FDNAMES"};
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string_view name = text.substr(0, text.find('='));
    if (std::ranges::find(kOurs, name) == std::end(kOurs)) all.emplace_back(text);
  }
  return all;
}

}  // namespace drover::app
