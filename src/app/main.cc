#include <sys/prctl.h>

#include <algorithm>
#include <string>
#include <vector>

#include "app/cli.h"
#include "app/gpus.h"
#include "app/logs.h"
#include "app/run_demo.h"
#include "app/run_gateway.h"
#include "app/run_keeper.h"
#include "app/run_serve.h"
#include "app/verbs.h"
#include "keeper/gateway_process.h"
#include "keeper/minder.h"

namespace {

using namespace drover;

struct Runner {
  config::Environment environment = config::process_environment();

  int operator()(const cli::ServeCommand& serve) const {
    return app::run_serve(serve, environment);
  }
  int operator()(const cli::CheckCommand& check) const {
    return cli::print(app::run_check(check, environment));
  }
  int operator()(const cli::StatusCommand& status) const {
    return cli::print(app::run_status(status, environment));
  }
  int operator()(const cli::BackendsCommand& backends) const {
    return cli::print(app::run_backends(backends, environment));
  }
  int operator()(const cli::ModelsCommand& models) const {
    return cli::print(app::run_models(models, environment));
  }
  int operator()(const cli::GpusCommand& gpus) const {
    return cli::print(app::run_gpus(gpus, environment));
  }
  int operator()(const cli::LogsCommand& logs) const { return app::run_logs(logs, environment); }
  int operator()(const cli::ExplainCommand& explain) const {
    return cli::print(app::run_explain(explain, environment));
  }
  int operator()(const cli::ProveCommand& prove) const {
    return cli::print(app::run_prove(prove, environment));
  }
  int operator()(const cli::SimCommand& sim) const { return cli::print(app::run_sim(sim)); }
  int operator()(const cli::VersionCommand& version) const {
    return cli::print(app::run_version(version));
  }
  int operator()(const cli::DemoCommand& demo) const { return app::run_demo(demo); }
  int operator()(const cli::SystemdCommand& systemd) const {
    return cli::print(app::run_systemd(systemd, environment,
                                       [this] { return app::read_gpus_here(environment); }));
  }
  int operator()(const cli::CompletionCommand& completion) const {
    return cli::print(app::run_completion(completion));
  }
};

}  // namespace

int main(int argc, char** argv) {
  // What drover starts by /proc/self/exe would be "exe" in top.
  ::prctl(PR_SET_NAME, "drover");
  // Those that drover or systemd starts by itself have no place in the help.
  const std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  if (!arguments.empty() && arguments.front() == keeper::kMinderVerb) {
    return keeper::run_minder({arguments.begin() + 1, arguments.end()});
  }
  if (!arguments.empty() && arguments.front() == keeper::kGatewayVerb) {
    return app::run_gateway({arguments.begin() + 1, arguments.end()});
  }
  if (!arguments.empty() && arguments.front() == app::kKeeperVerb) {
    return app::run_keeper({arguments.begin() + 1, arguments.end()}, config::process_environment());
  }
  const cli::Parsed parsed = cli::parse(argc, argv);
  if (!parsed.command) return parsed.exit_code;
  return std::visit(Runner{}, *parsed.command);
}
