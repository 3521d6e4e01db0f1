#include "gateway/admin_requests.h"

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "gateway/read_request.h"
#include "wire/dialect.h"

namespace drover::gateway {
namespace {

constexpr std::string_view kPrefix = "/api/v1/requests";
constexpr std::string_view kJson = "application/json; charset=utf-8";

std::string quote(std::string_view text) { return wire::json_quote(text); }

// Of what does not happen to every request: null when it did not.
std::string millis_or_null(Duration time) {
  return time > Duration::zero() ? fmt::format("{:.3f}", to_millis(time)) : "null";
}

std::string request_json(const engine::RequestRecord& of, Instant now) {
  return fmt::format(
      "{{\"id\":{},\"client\":{},\"route\":{},\"model\":{},\"instance\":{},\"status\":{},"
      "\"outcome\":{},\"reason\":{},\"retries\":{},\"arrived_seconds_ago\":{:.3f},"
      "\"queued_ms\":{:.3f},\"load_ms\":{},\"first_token_ms\":{},\"total_ms\":{:.3f},"
      "\"prompt_tokens\":{},\"output_tokens\":{},\"failure\":{},\"why\":{}}}\n",
      quote(of.id), quote(of.client), quote(of.route), quote(of.model), quote(of.backend),
      of.status, quote(to_string(of.outcome)), quote(of.reason), of.retries,
      to_seconds(now - of.arrived), to_millis(of.queued), millis_or_null(of.usage.load),
      millis_or_null(of.first_byte), to_millis(of.total), of.usage.prompt_tokens,
      of.usage.output_tokens, quote(of.failure), quote(of.why));
}

}  // namespace

std::optional<AdminPage> answer_requests(const engine::FinishedRequests& finished,
                                         const wire::RequestHead& head, Instant now) {
  if (!head.path.starts_with(kPrefix)) return std::nullopt;
  const std::string_view rest = head.path.substr(kPrefix.size());
  if (!rest.empty() && rest.front() != '/') return std::nullopt;
  const bool reads = head.method == wire::Method::kGet || head.method == wire::Method::kHead;
  if (!reads) return problem_page(405, "this path answers GET and HEAD", "GET, HEAD");
  if (rest.size() < 2) return problem_page(404, "known here: GET /api/v1/requests/ID");
  const Result<std::string> id = wire::percent_decode(rest.substr(1));
  if (!id || !is_safe_id(*id)) {
    return problem_page(400,
                        "no request has such an ID: it is the X-Request-ID of an answer, 1 to 128 "
                        "of A-Z a-z 0-9 - _ . :");
  }
  if (const std::optional<engine::RequestRecord> found = finished.find(*id)) {
    return AdminPage{200, kJson, request_json(*found, now)};
  }
  return problem_page(
      404,
      fmt::format("request {} is not remembered: drover keeps the latest {} requests that went "
                  "to an instance or failed, once they are over ({} now). Its log has a line of "
                  "every request: look there for this ID",
                  *id, engine::FinishedRequests::kMost, finished.size()));
}

}  // namespace drover::gateway
