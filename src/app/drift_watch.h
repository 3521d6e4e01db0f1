#pragma once
// Tells the log when a name stands for different models here and there: once, and again when other
// names do.

#include <vector>

#include "base/log.h"
#include "core/fleet.h"

namespace drover::app {

class DriftWatch {
 public:
  // The log outlives the watch.
  explicit DriftWatch(Log& log) : log_(log) {}

  void look(const core::FleetView& fleet);

 private:
  Log& log_;
  std::vector<ModelName> known_;
};

}  // namespace drover::app
