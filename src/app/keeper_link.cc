#include "app/keeper_link.h"

namespace drover::app {
namespace {

// The keeper only wants to know that an instance serves at all since it was started.
constexpr Duration kReportInterval = std::chrono::seconds(1);

}  // namespace

KeeperLink::KeeperLink(net::EpollLoop& home, engine::Engine& engine,
                       std::unique_ptr<net::Stream> stream, keeper::MessageReader reader,
                       std::size_t supervised, Heard heard)
    : home_(home),
      heard_(std::move(heard)),
      engine_(engine),
      supervised_(supervised),
      first_(engine.view()->backends.size() - supervised),
      served_(supervised, 0),
      link_(home, std::move(stream), std::move(reader),
            {[this](keeper::Message message) { hear(std::move(message)); },
             [gone = heard_.gone](const std::string&) { gone(); }}),
      reporting_(home) {}

// A repair counts against the instance, an operator's wish does not.
void KeeperLink::pass_on(const core::RestartInstance& order) {
  if (order.backend.value < first_) return;
  const bool wished = order.cause == core::RestartCause::kOperator;
  link_.send(keeper::Restart{static_cast<std::uint32_t>(order.backend.value - first_),
                             wished ? keeper::RestartKind::kOperator : keeper::RestartKind::kFault,
                             order.reason});
}

void KeeperLink::start() {
  engine_.on_restart([this](const core::RestartInstance& order) { pass_on(order); });
  link_.start();
  link_.send(keeper::Ready{});
  if (supervised_ > 0) reporting_.start(report_served());
}

void KeeperLink::hear(keeper::Message message) {
  if (auto* gpus = std::get_if<keeper::Gpus>(&message)) {
    engine_.observe_gpus(std::make_shared<const GpuReport>(std::move(gpus->report)));
  } else if (auto* welcome = std::get_if<keeper::Welcome>(&message)) {
    if (heard_.welcome) heard_.welcome(welcome->supervised);
  } else if (auto* process = std::get_if<keeper::Process>(&message)) {
    if (process->instance >= supervised_) return;
    engine_.observe_process({static_cast<std::uint32_t>(first_ + process->instance)},
                            std::move(process->process));
  }
}

net::Task<void> KeeperLink::report_served() {
  for (;;) {
    co_await home_.sleep_for(kReportInterval);
    const std::shared_ptr<const core::FleetView> fleet = engine_.view();
    for (std::uint32_t i = 0; i < supervised_; ++i) {
      const std::uint64_t served = fleet->backends[first_ + i].served;
      if (std::exchange(served_[i], served) != served) link_.send(keeper::Served{i});
    }
  }
}

}  // namespace drover::app
