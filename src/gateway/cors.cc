#include "gateway/cors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "gateway/routes.h"

namespace drover::gateway {
namespace {

constexpr std::size_t kMaxHeadersEcho = 1024;

bool is_token_list(std::string_view value) {
  return value.size() <= kMaxHeadersEcho &&
         std::all_of(value.begin(), value.end(), [](unsigned char c) {
           return std::isalnum(c) || c == '-' || c == '_' || c == ',' || c == ' ';
         });
}

}  // namespace

std::string cors_fields(std::string_view origin) {
  return fmt::format(
      "Access-Control-Allow-Origin: {}\r\nVary: Origin\r\n"
      "Access-Control-Expose-Headers: X-Request-ID, X-Drover-Backend, X-Drover-Why, "
      "X-Drover-Queue-Position\r\n",
      origin);
}

std::string preflight_fields(const wire::RequestHead& head) {
  std::string fields =
      "Allow: GET, HEAD, POST, DELETE, OPTIONS\r\n"
      "Access-Control-Allow-Methods: GET, HEAD, POST, DELETE, OPTIONS\r\n"
      "Access-Control-Max-Age: 43200\r\n";
  const std::string_view asked = head.find("access-control-request-headers").value_or("");
  if (!asked.empty() && is_token_list(asked)) {
    fmt::format_to(std::back_inserter(fields), "Access-Control-Allow-Headers: {}\r\n", asked);
  }
  return fields;
}

bool is_known_path(std::string_view path) {
  if (path == "*") return true;
  wire::RequestHead probe;
  probe.path = path;
  for (wire::Method method : {wire::Method::kGet, wire::Method::kPost, wire::Method::kDelete}) {
    probe.method = method;
    if (match_route(probe)) return true;
  }
  return false;
}

}  // namespace drover::gateway
