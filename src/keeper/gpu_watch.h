#pragma once
// Reads the GPUs at an interval, on a thread of its own, because a call to a sick driver may take
// half a minute or never return. Like a guard on a round who reports by radio: when he does not
// call in time, the last report holds, marked as old, and nobody goes to look for him.
//
// The reader belongs to the round that uses it, and to this object between rounds. When a process
// ends during a call that hangs, the thread is left behind with the reader (see net/worker.h).

#include <chrono>
#include <functional>
#include <memory>

#include "base/gpu.h"
#include "base/time.h"
#include "keeper/gpu_reader.h"
#include "net/loop.h"
#include "net/wait.h"
#include "net/worker.h"

namespace drover::keeper {

struct GpuWatchSettings {
  // A reading costs some milliseconds of one CPU; halving this doubles that and tells nothing new,
  // since the drivers themselves measure over a second or less.
  Duration interval = std::chrono::seconds(1);
  // The slowest healthy readings take 0.2 s with eight GPUs. After this the devices are kSilent.
  Duration deadline = std::chrono::seconds(2);
};

class GpuWatch {
 public:
  // Called on the loop: after every reading, and once when a reading is overdue.
  using OnReport = std::function<void(std::shared_ptr<const GpuReport>)>;

  // The first reading starts when the loop turns. Lives on the loop's thread.
  GpuWatch(net::Loop& loop, std::unique_ptr<GpuReader> reader, GpuWatchSettings settings,
           OnReport on_report);

  // The newest report; null before the first.
  std::shared_ptr<const GpuReport> latest() const { return latest_; }

 private:
  net::Task<void> rounds();
  void ask();
  void deliver(GpuReport report);

  net::Loop& loop_;
  std::shared_ptr<GpuReader> reader_;
  GpuWatchSettings settings_;
  OnReport on_report_;
  std::shared_ptr<const GpuReport> latest_;
  net::Event answered_;
  std::shared_ptr<GpuReport> answer_;  // of the last reading, once answered_ is set
  net::Worker worker_;
  net::OwnedTask task_;
};

}  // namespace drover::keeper
