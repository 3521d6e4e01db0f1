#pragma once
// `drover backends`, against an admin side that a test can play.

#include <functional>
#include <string>
#include <string_view>

#include "app/cli.h"
#include "app/http_get.h"
#include "base/result.h"
#include "base/time.h"

namespace drover::app {

struct AdminSide {
  std::function<Result<Answer>(std::string_view path)> get;
  std::function<Result<Answer>(std::string_view path)> post;
  std::function<void(Duration)> pause;
  std::function<void(std::string_view)> say;         // a line for people, at once
  std::function<std::string(const Error&)> silence;  // words for a request without an answer
};

cli::Printed work_on_backends(const cli::BackendsCommand& command, const AdminSide& admin);

}  // namespace drover::app
