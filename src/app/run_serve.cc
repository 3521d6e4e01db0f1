#include "app/run_serve.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>

#include "app/effective.h"
#include "app/gpus.h"
#include "app/log_sink.h"
#include "app/places.h"
#include "app/sockets.h"
#include "app/supervise.h"
#include "app/zero_config.h"
#include "keeper/gpu_reader.h"
#include "keeper/keeper.h"
#include "net/signals.h"

namespace drover::app {
namespace {

void say(const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); }

int refuse(const Error& error) {
  say("drover: " + error.message);
  return cli::kFailed;
}

// Requests that take turns free in runs of dozens what they allocate in runs of dozens; of each
// size glibc keeps seven pieces at hand for a thread, and goes the long way for the others. Who
// sets tunables has reasons for them.
std::vector<std::string> gateway_environment() {
  std::vector<std::string> all = plain_environment();
  const bool tuned = std::ranges::any_of(
      all, [](std::string_view entry) { return entry.starts_with("GLIBC_TUNABLES="); });
  if (!tuned) all.emplace_back("GLIBC_TUNABLES=glibc.malloc.tcache_count=64");
  return all;
}

// Everything that is decided before the first process is started.
struct Prepared {
  config::Config config;
  keeper::Welcome welcome;
  std::vector<keeper::InstanceOptions> instances;
  std::shared_ptr<const GpuReport> gpus;  // that they were planned for; null: nobody looked
};

Result<Prepared> prepare(Effective effective, const config::Environment& environment,
                         const std::string& drover) {
  Prepared all;
  all.config = std::move(effective.result.config);
  const std::size_t configured = all.config.backends.size();
  // What an earlier drover left behind must neither be found nor hold memory.
  const std::size_t ended = keeper::end_leftovers();
  if (ended > 0) {
    all.welcome.greeting += fmt::format("ended {} processes that an earlier drover left\n", ended);
  }
  Result<std::string> found = find_instances(all.config);
  if (!found) return std::move(found).error();
  all.welcome.greeting += *found;
  for (std::size_t i = configured; i < all.config.backends.size(); ++i) {
    all.welcome.foreign.push_back(all.config.backends[i].address);
  }
  if (wants_supervision(all.config, all.config.backends.size())) {
    all.gpus = std::make_shared<const GpuReport>(read_gpus_here(environment));
    Result<Supervision> planned = plan_supervision(all.config, *all.gpus, environment, drover);
    if (!planned && all.config.backends.empty()) {
      Error error = nothing_to_serve();
      error.message += ". Nor can drover start one: " + planned.error().message;
      return error;
    }
    if (!planned) return std::move(planned).error();
    all.instances = std::move(planned->instances);
    all.welcome.supervised = std::move(planned->told);
    all.welcome.greeting += planned->said;
  } else if (all.config.backends.empty()) {
    return nothing_to_serve();
  }
  all.welcome.file = std::move(effective.text);
  all.welcome.settings = std::move(effective.settings);
  return all;
}

}  // namespace

int run_serve(const cli::ServeCommand& command, const config::Environment& environment) {
  Effective effective = effective_config(command.config, environment);
  for (const config::Problem& problem : effective.result.warnings) {
    say("warning: " + problem.render());
  }
  for (const config::Problem& problem : effective.result.errors) say(problem.render());
  if (!effective.result.ok()) return cli::kFailed;

  Result<std::string> drover = own_program();
  if (!drover) return refuse(drover.error());
  Result<Prepared> prepared = prepare(std::move(effective), environment, *drover);
  if (!prepared) return refuse(prepared.error());
  const config::Config& config = prepared->config;
  Result<Sockets> sockets = Sockets::bind(config, loop_count(config));
  if (!sockets) return refuse(sockets.error());

  // Before the log makes its thread.
  net::block_signals({SIGTERM, SIGINT, SIGCHLD});
  LogSink log({.least = config.log.level, .format = line_format(config.log.format)});
  net::EpollLoop loop;
  keeper::Keeper::Options options;
  options.gateway = {*drover, sockets->take(), gateway_environment(), std::move(prepared->welcome),
                     config.timeouts.drain};
  options.instances = std::move(prepared->instances);
  options.make_rule = make_restart_rule;
  options.gpus = keeper::make_gpu_reader(gpu_places(environment));
  options.first_report = std::move(prepared->gpus);
  return keeper::Keeper(loop, std::move(options), log).run();
}

}  // namespace drover::app
