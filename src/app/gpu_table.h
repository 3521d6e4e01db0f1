#pragma once
// The "gpus" of /api/v1/status for people.

#include <simdjson.h>

#include <cstdint>
#include <functional>
#include <string>

namespace drover::app {

// A few columns, as `drover status` shows them; empty when there is no device.
std::string gpu_rows(simdjson::dom::element gpus);

// The name of a process of this machine; empty: it has ended, or is another machine's.
using ProcessName = std::function<std::string(std::int64_t pid)>;

// All that is known, as `drover gpus` shows it: devices, who uses them, problems. `status` is the
// whole status that the devices are from, or null: it knows whether instances are pinned well.
std::string gpu_sheet(simdjson::dom::element gpus, const simdjson::dom::element* status,
                      const ProcessName& name_of);

}  // namespace drover::app
