#include "app/run_keeper.h"

#include <fmt/format.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "app/cli.h"
#include "app/effective.h"
#include "app/gpus.h"
#include "app/keeper_session.h"
#include "app/log_sink.h"
#include "keeper/gpu_reader.h"
#include "keeper/instance_list.h"
#include "keeper/service_keeper.h"
#include "net/epoll_stream.h"
#include "net/sd_notify.h"
#include "net/signals.h"

namespace drover::app {
namespace {

void say(const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); }

int refuse(const Error& error) {
  say("drover keeper: " + error.message);
  return cli::kFailed;
}

std::optional<cli::ConfigOptions> options_of(const std::vector<std::string>& arguments) {
  cli::ConfigOptions options;
  if (arguments.empty()) return options;
  if (arguments.size() != 2 || arguments[0] != "--config") return std::nullopt;
  options.file = arguments[1];
  return options;
}

Result<std::vector<keeper::ListedInstance>> read_list(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    return Error{ErrorKind::kConfig, Origin::kSelf, Retry::kNever,
                 fmt::format("cannot read {}: {}; drover systemd install writes it, and without "
                             "systemd `drover serve` is the keeper",
                             path, net::error_words(errno))};
  }
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  Result<std::vector<keeper::ListedInstance>> list = keeper::read_instance_list(text);
  if (!list) list.error().message = path + ": " + list.error().message;
  return list;
}

keeper::Welcome welcome_of(Effective effective,
                           const std::vector<keeper::ListedInstance>& instances) {
  keeper::Welcome welcome;
  const std::uint32_t parallel = effective.result.config.ollama.parallel.value_or(1);
  for (const keeper::ListedInstance& each : instances) {
    welcome.supervised.push_back({each.name, fmt::format("http://127.0.0.1:{}", each.port),
                                  each.gpus, each.spanning, parallel});
  }
  welcome.file = std::move(effective.text);
  welcome.settings = std::move(effective.settings);
  return welcome;
}

// Twice as often as the manager wants to hear it, so that one late turn costs nothing.
net::Task<void> feed_watchdog(net::Loop& loop, const net::Notifier& notifier) {
  for (;;) {
    (void)notifier.alive();
    co_await loop.sleep_for(*notifier.watchdog() / 2);
  }
}

// What systemd is told: that it serves, and one line for `systemctl status` whenever it changes.
class Reporter {
 public:
  explicit Reporter(const net::Notifier& notifier) : notifier_(notifier) {}
  void tell(const std::string& summary) {
    if (summary == told_) return;
    told_ = summary;
    (void)notifier_.status(summary);
  }

 private:
  const net::Notifier& notifier_;
  std::string told_;
};

int keep(keeper::ServiceKeeper::Options options, const config::Config& config) {
  // Before the log makes its thread.
  const net::Notifier notifier = net::Notifier::from_environment();
  net::block_signals({SIGTERM, SIGINT});
  LogSink log({.least = config.log.level, .format = line_format(config.log.format)});
  net::EpollLoop loop;
  const net::Signals signals(loop, {SIGTERM, SIGINT}, [&loop](int) { loop.stop(); });
  Reporter reporter(notifier);
  std::unique_ptr<keeper::ServiceKeeper> running;
  Result<std::unique_ptr<keeper::ServiceKeeper>> keeper = keeper::ServiceKeeper::start(
      loop, std::move(options), log, [&] { reporter.tell(running->summary()); });
  if (!keeper) return refuse(keeper.error());
  running = *std::move(keeper);
  if (notifier.watchdog()) loop.spawn(feed_watchdog(loop, notifier));
  (void)notifier.ready(running->summary());
  log.info("keeper ready", {{"state", std::string_view(running->summary())}});
  loop.run();
  (void)notifier.stopping();
  running.reset();
  loop.abandon();
  return cli::kDone;
}

}  // namespace

int run_keeper(const std::vector<std::string>& arguments, const config::Environment& environment) {
  const std::optional<cli::ConfigOptions> wanted = options_of(arguments);
  if (!wanted) {
    say("drover keeper: takes --config FILE and nothing else; drover systemd install starts it");
    return cli::kWrongUse;
  }
  Effective effective = effective_config(*wanted, environment);
  for (const config::Problem& problem : effective.result.warnings) {
    say("warning: " + problem.render());
  }
  for (const config::Problem& problem : effective.result.errors) say(problem.render());
  if (!effective.result.ok()) return cli::kFailed;
  const config::Config config = effective.result.config;

  const Result<std::vector<keeper::ListedInstance>> instances =
      read_list(environment("DROVER_INSTANCES").value_or(keeper::kInstanceListPath));
  if (!instances) return refuse(instances.error());
  keeper::ServiceKeeper::Options options;
  options.welcome = welcome_of(std::move(effective), *instances);
  options.socket = environment("DROVER_KEEPER_SOCKET").value_or(kKeeperSocket);
  options.gpus = keeper::make_gpu_reader(gpu_places(environment));
  return keep(std::move(options), config);
}

}  // namespace drover::app
