#include "core/learned.h"

namespace drover::core {

std::string learned_name(const BackendSpec& spec) {
  if (spec.gpus.empty()) return spec.url;
  std::string name;
  for (const std::string& gpu : spec.gpus) {
    if (!name.empty()) name += '+';
    name += gpu;
  }
  return name;
}

}  // namespace drover::core
