#pragma once
// What operators do to instances: the list, and
//
//   POST /api/v1/instances/NAME/drain     it finishes what it has and gets nothing new
//   POST /api/v1/instances/NAME/undrain   back to work; also calls off a restart that still drains
//   POST /api/v1/instances/NAME/restart   drained, then its process is started anew, then back to
//                                         work; ?grace=SECONDS bounds the draining
//
// Only accepted here: what becomes of it is seen in the list.

#include <optional>
#include <string>
#include <string_view>

#include "engine/engine.h"
#include "wire/http_head.h"

namespace drover::gateway {

struct AdminPage {
  int status = 200;
  std::string_view content_type;
  std::string body;
  std::string_view allow;  // with 405
};

// RFC 9457: what programs that speak to an admin interface expect. `allow` with 405.
AdminPage problem_page(int status, std::string_view detail, std::string_view allow = {});

// Nothing when the path is not below /api/v1/instances. The Host was judged before. Home loop.
std::optional<AdminPage> answer_instances(engine::Engine& engine, const wire::RequestHead& head);

}  // namespace drover::gateway
