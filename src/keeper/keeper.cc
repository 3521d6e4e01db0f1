#include "keeper/keeper.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "keeper/pinning.h"
#include "keeper/process_tree.h"
#include "net/signals.h"

namespace drover::keeper {
namespace {

// CPU, memory and files of an instance are looked at as often as its GPU.
constexpr Duration kMeasureInterval = std::chrono::seconds(1);
// Without its persistence daemon NVIDIA's driver takes seconds to wake its devices.
constexpr Duration kWakeTime = std::chrono::seconds(30);
constexpr int kLeftoverRounds = 300;
constexpr int kLeftoverPauseMs = 10;

}  // namespace

std::size_t end_leftovers() {
  std::size_t found = 0;
  for (int round = 0; round < kLeftoverRounds; ++round) {
    const std::vector<pid_t> left = leftovers();
    if (left.empty()) break;
    if (round == 0) found = left.size();
    for (const pid_t pid : left) ::kill(pid, SIGKILL);
    ::poll(nullptr, 0, kLeftoverPauseMs);
  }
  return found;
}

Keeper::Keeper(net::EpollLoop& loop, Options options, Log& log)
    : loop_(loop),
      options_(std::move(options)),
      log_(log),
      gateway_(
          loop, std::move(options_.gateway), log,
          {[this] { tell_everything(); }, [this](const Message& message) { on_message(message); },
           [this](int exit_code) { on_gateway_end(exit_code); }}),
      report_(std::move(options_.first_report)) {
  for (InstanceOptions& each : options_.instances) {
    const auto number = static_cast<std::uint32_t>(instances_.size());
    instances_.push_back(std::make_unique<Instance>(loop_, std::move(each), options_.make_rule(),
                                                    log_, [this, number] { tell(number); }));
  }
}

Keeper::~Keeper() = default;

int Keeper::run() {
  // Runners whose minder was killed come to us instead of to init.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  const net::Signals signals(loop_, {SIGTERM, SIGINT, SIGCHLD},
                             [this](int number) { on_signal(number); });
  began_ = loop_.now();
  gateway_.start();
  for (const auto& instance : instances_) instance->start();
  if (options_.gpus) {
    gpus_ = std::make_unique<GpuWatch>(
        loop_, std::move(options_.gpus), GpuWatchSettings{},
        [this](std::shared_ptr<const GpuReport> report) { take(*report); });
  }
  loop_.spawn(measure_rounds());
  loop_.run();
  loop_.abandon();
  gpus_.reset();
  return exit_code_;
}

void Keeper::take(GpuReport report) {
  if (report.gpus.empty() && report_ && !report_->gpus.empty()) {
    // A driver that still wakes up does not take back what was there a moment ago; one that went
    // away does not leave its last readings behind as if they were of now.
    if (loop_.now() - began_ < kWakeTime) return;
    for (const Gpu& gpu : report_->gpus) {
      report.gpus.push_back(
          without_readings(gpu, GpuCondition::kSilent, "its driver does not answer any more"));
    }
  }
  report_ = std::make_shared<const GpuReport>(std::move(report));
  gateway_.send(Gpus{*report_});
}

void Keeper::on_signal(int number) {
  if (number == SIGCHLD) return sweep_strangers();
  gateway_.end(number);
}

void Keeper::on_message(const Message& message) {
  if (const auto* served = std::get_if<Served>(&message)) {
    if (served->instance < instances_.size()) instances_[served->instance]->served();
  } else if (const auto* restart = std::get_if<Restart>(&message)) {
    if (restart->instance >= instances_.size()) return;
    const std::string_view kind = restart->kind == RestartKind::kFault ? "fault" : "operator";
    log_.info("instance is restarted",
              {{"instance", std::string_view(instances_[restart->instance]->name())},
               {"kind", kind},
               {"reason", std::string_view(restart->reason)}});
    instances_[restart->instance]->restart(restart->kind, restart->reason);
  }
}

// --- the end ---

void Keeper::on_gateway_end(int exit_code) {
  exit_code_ = exit_code;
  loop_.spawn(stop_instances());
}

net::Task<void> Keeper::stop_instances() {
  // All are told at once; then each is waited for.
  for (const auto& instance : instances_) (void)instance->stop();
  for (const auto& instance : instances_) co_await instance->stop();
  loop_.stop();
}

// Who lost its minder is our child now. Only what carries our mark is killed: whoever started us
// may have given us children of its own.
void Keeper::sweep_strangers() {
  std::vector<pid_t> ours = {gateway_.pid()};
  for (const auto& instance : instances_) ours.push_back(instance->minder());
  for (const pid_t pid : children_of(::getpid())) {
    if (std::ranges::find(ours, pid) != ours.end()) continue;
    if (keeper_of(pid) == identify(::getpid()) && ::kill(pid, SIGKILL) == 0) {
      log_.warn("orphan killed", {{"pid", std::int64_t{pid}}});
    }
    ::waitpid(pid, nullptr, WNOHANG);  // who dies only now is reaped at its own SIGCHLD
  }
}

// --- what is seen ---

net::Task<void> Keeper::measure_rounds() {
  for (;;) {
    co_await loop_.sleep_for(kMeasureInterval);
    measure();
  }
}

void Keeper::measure() {
  std::vector<PinnedInstance> placed;
  for (const auto& instance : instances_) {
    const std::vector<pid_t> tree = instance->measure();
    placed.push_back({instance->name(), instance->plan().gpus, {tree.begin(), tree.end()}});
  }
  if (report_) {
    const std::vector<Pinning> pinning = check_pinning(placed, *report_);
    for (std::size_t i = 0; i < instances_.size(); ++i) {
      instances_[i]->set_pinning(pinning[i].pinned_well, pinning[i].detail);
    }
  }
  for (std::uint32_t i = 0; i < instances_.size(); ++i) tell(i);
}

void Keeper::tell(std::uint32_t instance) {
  gateway_.send(Process{instance, instances_[instance]->process()});
}

void Keeper::tell_everything() {
  if (report_) gateway_.send(Gpus{*report_});
  for (std::uint32_t i = 0; i < instances_.size(); ++i) tell(i);
}

}  // namespace drover::keeper
