#pragma once
// `drover models`, against a client side that a test can play.

#include <functional>
#include <string>
#include <string_view>

#include "app/cli.h"
#include "base/result.h"

namespace drover::app {

struct ModelsSide {
  // One request of Ollama's API. Each line of the answer goes to `on_line` as it arrives; of a
  // document that is all of it. Returns the status.
  std::function<Result<int>(std::string_view method, std::string_view path, std::string_view body,
                            const std::function<void(std::string_view)>& on_line)>
      ask;
  std::function<Result<std::string>()> wanted;       // what drover shall keep true, as JSON
  std::function<void(std::string_view)> say;         // lines for people, at once
  bool terminal = false;                             // they see bars
  std::function<std::string(const Error&)> silence;  // words for a request without an answer
};

cli::Printed work_on_models(const cli::ModelsCommand& command, const ModelsSide& side);

}  // namespace drover::app
