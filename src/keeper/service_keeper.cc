#include "keeper/service_keeper.h"

#include <fmt/format.h>

#include <algorithm>

#include "keeper/pinning.h"
#include "keeper/process_tree.h"
#include "keeper/run_program.h"
#include "keeper/systemd_units.h"
#include "keeper/unit_state.h"

namespace drover::keeper {

struct ServiceKeeper::Visit {
  std::vector<std::string> restarts;  // units
  std::vector<std::string> units;     // to be asked about
  std::vector<std::string> refusals;  // of restarts, as systemd said them
  Result<std::string> answer = std::string();

  // systemd takes the order and carries it out by itself: a server may take half a minute to end.
  void go() {
    for (const std::string& unit : restarts) {
      const Result<std::string> done =
          run_program({"systemctl", "--no-ask-password", "--no-block", "restart", unit});
      if (!done) refusals.push_back(done.error().message);
    }
    if (!units.empty()) answer = run_program(unit_states_question(units));
  }
};

Result<std::unique_ptr<ServiceKeeper>> ServiceKeeper::start(net::EpollLoop& loop, Options options,
                                                            Log& log,
                                                            std::function<void()> looked) {
  // tidy: allow(new) private ctor
  auto* const made = new ServiceKeeper(loop, std::move(options), log, std::move(looked));
  std::unique_ptr<ServiceKeeper> keeper(made);
  ServiceKeeper& self = *keeper;
  Result<std::unique_ptr<LinkServer>> server =
      LinkServer::listen(loop, self.options_.socket, log,
                         {[&self](Link& link) { self.tell_everything(link); },
                          [&self](const Message& message) { self.on_message(message); }});
  if (!server) return std::move(server).error();
  self.server_ = *std::move(server);
  if (self.options_.gpus) {
    self.gpus_ = std::make_unique<GpuWatch>(loop, std::move(self.options_.gpus), GpuWatchSettings{},
                                            [&self](std::shared_ptr<const GpuReport> report) {
                                              self.report_ = std::move(report);
                                              self.server_->send(Gpus{*self.report_});
                                            });
  }
  self.task_.start(self.rounds());
  return keeper;
}

ServiceKeeper::ServiceKeeper(net::EpollLoop& loop, Options options, Log& log,
                             std::function<void()> looked)
    : loop_(loop),
      options_(std::move(options)),
      log_(log),
      looked_(std::move(looked)),
      wanted_(loop),
      visited_(loop),
      worker_(loop, "systemctl"),
      task_(loop) {
  for (const SupervisedInstance& each : options_.welcome.supervised) {
    instances_.push_back({each.name, instance_unit(each.name), {}});
  }
}

std::string ServiceKeeper::summary() const {
  const auto running = std::ranges::count(instances_, ProcessState::kRunning,
                                          [](const Watched& each) { return each.process.state; });
  const std::size_t gateways = server_->links();
  return fmt::format("{} instance{}, {} running; {} gateway{}", instances_.size(),
                     instances_.size() == 1 ? "" : "s", running, gateways,
                     gateways == 1 ? "" : "s");
}

// --- gateways ---

void ServiceKeeper::tell_everything(Link& link) const {
  link.send(options_.welcome);
  if (report_) link.send(Gpus{*report_});
  for (std::uint32_t i = 0; i < instances_.size(); ++i) {
    link.send(Process{i, instances_[i].process});
  }
}

// Served needs no answer here: systemd has no back-off that it could end.
void ServiceKeeper::on_message(const Message& message) {
  const auto* restart = std::get_if<Restart>(&message);
  if (restart == nullptr || restart->instance >= instances_.size()) return;
  const Watched& instance = instances_[restart->instance];
  const bool fault = restart->kind == RestartKind::kFault;
  // Of one that does not run, a fault is an old story: systemd has seen its end.
  if (fault && instance.process.state != ProcessState::kRunning) return;
  log_.info("instance is restarted", {{"instance", std::string_view(instance.name)},
                                      {"kind", fault ? "fault" : "operator"},
                                      {"reason", std::string_view(restart->reason)}});
  restarts_.insert(restart->instance);
  wanted_.set();
}

// --- systemd ---

net::Task<void> ServiceKeeper::rounds() {
  for (;;) {
    const std::shared_ptr<Visit> visit = next_visit();
    visited_.clear();
    worker_.run([visit] { visit->go(); }, [this] { visited_.set(); });
    co_await visited_.wait(kNever);
    take(*visit);
    measure();
    if (looked_) looked_();
    co_await wanted_.wait(loop_.now() + options_.interval);
  }
}

std::shared_ptr<ServiceKeeper::Visit> ServiceKeeper::next_visit() {
  auto visit = std::make_shared<Visit>();
  for (const std::uint32_t number : restarts_) visit->restarts.push_back(instances_[number].unit);
  restarts_.clear();
  wanted_.clear();
  for (const Watched& each : instances_) visit->units.push_back(each.unit);
  return visit;
}

void ServiceKeeper::take(const Visit& visit) {
  for (const std::string& refusal : visit.refusals) {
    log_.error("restart refused",
               {{"reason", std::string_view(refusal)},
                {"remedy",
                 "install the package polkitd and the rule that drover systemd install writes"}});
  }
  const std::string complaint = visit.answer ? "" : visit.answer.error().message;
  if (!complaint.empty() && complaint != complaint_) {
    log_.error("systemd does not answer", {{"reason", std::string_view(complaint)}});
  }
  complaint_ = complaint;
  if (!visit.answer) return;
  for (const UnitState& state : read_unit_states(*visit.answer)) {
    const auto found = std::ranges::find(instances_, state.unit, &Watched::unit);
    if (found == instances_.end()) continue;
    InstanceProcess process = process_of(state);
    // systemd counts only the restarts that it decided itself, and forgets them after one that was
    // asked for; another process is another start.
    const bool another = process.pid > 0 && found->last_pid > 0 && process.pid != found->last_pid;
    if (process.pid > 0) found->last_pid = process.pid;
    process.starts = std::max(process.starts, found->process.starts + (another ? 1 : 0));
    if (process.state != found->process.state) {
      log_.info("instance", {{"instance", std::string_view(found->name)},
                             {"state", to_string(process.state)},
                             {"reason", std::string_view(process.reason)}});
    }
    found->process = std::move(process);
  }
}

void ServiceKeeper::measure() {
  std::vector<PinnedInstance> placed;
  for (std::size_t i = 0; i < instances_.size(); ++i) {
    InstanceProcess& process = instances_[i].process;
    std::vector<pid_t> tree;
    if (process.pid > 0) tree = process_tree(static_cast<pid_t>(process.pid));
    const TreeUse use = keeper::measure(tree);
    process.processes = use.processes;
    process.cpu = use.cpu;
    process.rss_bytes = use.rss_bytes;
    process.open_files = use.open_files;
    placed.push_back(
        {instances_[i].name, options_.welcome.supervised[i].gpus, {tree.begin(), tree.end()}});
  }
  if (report_) {
    const std::vector<Pinning> pinning = check_pinning(placed, *report_);
    for (std::size_t i = 0; i < instances_.size(); ++i) {
      instances_[i].process.pinned_well = pinning[i].pinned_well;
      instances_[i].process.pinning_detail = pinning[i].detail;
    }
  }
  for (std::uint32_t i = 0; i < instances_.size(); ++i) {
    server_->send(Process{i, instances_[i].process});
  }
}

}  // namespace drover::keeper
