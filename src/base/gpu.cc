#include "base/gpu.h"

namespace drover {

std::string_view to_string(GpuVendor vendor) {
  switch (vendor) {
    case GpuVendor::kNvidia:
      return "nvidia";
    case GpuVendor::kAmd:
      return "amd";
    case GpuVendor::kIntel:
      return "intel";
  }
  return "";
}

std::string_view to_string(GpuCondition condition) {
  switch (condition) {
    case GpuCondition::kWell:
      return "well";
    case GpuCondition::kSilent:
      return "silent";
    case GpuCondition::kLost:
      return "lost";
    case GpuCondition::kFailed:
      return "failed";
  }
  return "";
}

}  // namespace drover
