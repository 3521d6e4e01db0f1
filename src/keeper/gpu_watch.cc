#include "keeper/gpu_watch.h"

#include <fmt/format.h>

#include <string>
#include <utility>

namespace drover::keeper {
namespace {

// The last report with its readings, none of which is called new any more.
GpuReport silenced(const GpuReport* last, Duration deadline) {
  const std::string why =
      fmt::format("its driver has not answered for {} s", static_cast<int>(to_seconds(deadline)));
  GpuReport report = last == nullptr ? GpuReport() : *last;
  for (Gpu& gpu : report.gpus) {
    if (gpu.condition == GpuCondition::kLost) continue;
    gpu.condition = GpuCondition::kSilent;
    gpu.detail = why;
  }
  report.problems.push_back(
      fmt::format("reading the GPUs has not ended for {} s: the readings are the last ones known; "
                  "see dmesg",
                  static_cast<int>(to_seconds(deadline))));
  return report;
}

}  // namespace

GpuWatch::GpuWatch(net::Loop& loop, std::unique_ptr<GpuReader> reader, GpuWatchSettings settings,
                   OnReport on_report)
    : loop_(loop),
      reader_(std::move(reader)),
      settings_(settings),
      on_report_(std::move(on_report)),
      answered_(loop),
      worker_(loop, "gpus"),
      task_(loop) {
  task_.start(rounds());
}

net::Task<void> GpuWatch::rounds() {
  for (;;) {
    const Instant next = loop_.now() + settings_.interval;
    ask();
    const net::WaitResult in_time = co_await answered_.wait(loop_.now() + settings_.deadline);
    if (in_time == net::WaitResult::kTimedOut) {
      deliver(silenced(latest_.get(), settings_.deadline));
      // No second call beside one that hangs: a driver in that state would hang it too. The wait
      // has no bound but the life of this object.
      co_await answered_.wait(kNever);
    }
    deliver(std::move(*answer_));
    co_await loop_.sleep_until(next);
  }
}

void GpuWatch::ask() {
  answered_.clear();
  answer_ = std::make_shared<GpuReport>();
  worker_.run([reader = reader_, answer = answer_] { *answer = reader->read(); },
              [this] { answered_.set(); });
}

void GpuWatch::deliver(GpuReport report) {
  latest_ = std::make_shared<const GpuReport>(std::move(report));
  on_report_(latest_);
}

}  // namespace drover::keeper
