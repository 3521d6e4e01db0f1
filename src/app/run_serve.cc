#include "app/run_serve.h"

#include <cstdio>

#include "app/effective.h"
#include "app/log_sink.h"
#include "app/server.h"
#include "app/zero_config.h"
#include "net/signals.h"

namespace drover::app {
namespace {

void say(const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); }

LineFormat line_format(config::LogFormat format) {
  switch (format) {
    case config::LogFormat::kText:
      return LineFormat::kText;
    case config::LogFormat::kJson:
      return LineFormat::kJson;
    case config::LogFormat::kAuto:
      break;
  }
  return format_for(2);
}

}  // namespace

int run_serve(const cli::ServeCommand& command, const config::Environment& environment) {
  Effective effective = effective_config(command.config, environment);
  for (const config::Problem& problem : effective.result.warnings) {
    say("warning: " + problem.render());
  }
  for (const config::Problem& problem : effective.result.errors) say(problem.render());
  if (!effective.result.ok()) return cli::kFailed;

  config::Config config = std::move(effective.result.config);
  Result<std::string> found = find_instances(config);
  if (!found) {
    say("drover: " + found.error().message);
    return cli::kFailed;
  }
  // Before the log makes its thread.
  net::block_signals(kEndingSignals);
  LogSink log({.least = config.log.level, .format = line_format(config.log.format)});
  Result<std::unique_ptr<Server>> server = Server::create(config, log);
  if (!server) {
    say("drover: " + server.error().message);
    return cli::kFailed;
  }
  std::fputs(found->c_str(), stdout);
  const Server::Ended ended = (*server)->run();
  return ended == Server::Ended::kDrained ? cli::kDone : cli::kFailed;
}

}  // namespace drover::app
