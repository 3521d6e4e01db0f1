#pragma once
// What drover does when nobody told it anything: look for Ollama where it usually is.

#include <string>

#include "base/result.h"
#include "config/config.h"

namespace drover::app {

// When `config` names no instance: finds those that answer on 127.0.0.1 (11434, 11435, 11440 to
// 11455) and adds them. When one of them holds drover's own default address, drover moves to 11435,
// or to 11433 when that is held as well.
// Returns what was done, for people; empty when there was nothing to do or nothing was found. Error
// kConfig: drover runs already.
Result<std::string> find_instances(config::Config& config);

// What to say when there is no instance and none may be started.
Error nothing_to_serve();

}  // namespace drover::app
