#pragma once
// What browsers need to hear. Instances never see an Origin: cross-origin answers are ours.

#include <string>
#include <string_view>

#include "wire/http_head.h"

namespace drover::gateway {

// Complete field lines for any answer to a page of `origin`, which was allowed.
std::string cors_fields(std::string_view origin);

// For an OPTIONS request on a known path: methods, and the requested headers that are tokens.
std::string preflight_fields(const wire::RequestHead& head);

// By any method; "*", which only OPTIONS can ask for, stands for the whole server.
bool is_known_path(std::string_view path);

}  // namespace drover::gateway
