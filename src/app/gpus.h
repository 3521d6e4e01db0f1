#pragma once
// Where GPUs are looked for.

#include "config/discover.h"
#include "keeper/gpu_reader.h"

namespace drover::app {

// DROVER_NVML_LIBRARY names another libnvidia-ml.so.1: for drivers in unusual places, and tests.
keeper::GpuPlaces gpu_places(const config::Environment& environment);

// What this machine has, read once; waits for a driver that has to wake its devices first.
GpuReport read_gpus_here(const config::Environment& environment);

}  // namespace drover::app
