#include "gateway/admin_instances.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "gateway/access.h"
#include "wire/dialect.h"

namespace drover::gateway {
namespace {

constexpr std::string_view kPrefix = "/api/v1/instances";
constexpr std::string_view kJson = "application/json; charset=utf-8";
constexpr std::chrono::seconds kLongestGrace = std::chrono::hours(24);

std::string quote(std::string_view text) { return wire::json_quote(text); }

std::string process_json(const std::optional<InstanceProcess>& process) {
  if (!process) return "null";
  return fmt::format("{{\"state\":{},\"pid\":{},\"starts\":{}}}", quote(to_string(process->state)),
                     process->pid, process->starts);
}

std::string instance_json(const core::BackendView& each) {
  return fmt::format(
      "{{\"name\":{},\"url\":{},\"health\":{},\"reason\":{},\"in_flight\":{},"
      "\"awaiting_first\":{},\"supervised\":{},\"placement\":{},\"restarting\":{},"
      "\"process\":{}}}",
      quote(each.name), quote(each.url), quote(to_string(each.health)), quote(each.reason),
      each.in_flight, each.awaiting_first, each.supervised, quote(to_string(each.placement)),
      each.restarting, process_json(each.process));
}

AdminPage list(const core::FleetView& fleet) {
  std::string body = "{\"instances\":[";
  for (const core::BackendView& each : fleet.backends) {
    if (!body.ends_with('[')) body += ',';
    body += instance_json(each);
  }
  return {200, kJson, body + "]}\n"};
}

AdminPage unknown_name(const core::FleetView& fleet, std::string_view name) {
  std::string known;
  for (const core::BackendView& each : fleet.backends) {
    known += known.empty() ? "" : ", ";
    known += each.name;
  }
  return problem_page(404, fmt::format("no instance is named '{}'; there are: {}", name,
                                       known.empty() ? "none" : known));
}

// "grace=30"; an error for anything else. Absent: the configured drain time.
Result<std::optional<Duration>> read_grace(std::string_view query) {
  if (query.empty()) return std::optional<Duration>();
  constexpr std::string_view kKey = "grace=";
  std::int64_t seconds = -1;
  if (query.starts_with(kKey)) {
    const char* end = query.data() + query.size();
    const auto read = std::from_chars(query.data() + kKey.size(), end, seconds);
    if (read.ptr != end) seconds = -1;
  }
  if (seconds < 0 || seconds > kLongestGrace.count()) {
    return Error{
        ErrorKind::kMalformed, Origin::kClient, Retry::kNever,
        fmt::format("write ?grace=SECONDS, a whole number from 0 to {}", kLongestGrace.count())};
  }
  return std::optional<Duration>(std::chrono::seconds(seconds));
}

AdminPage set_draining(engine::Engine& engine, const core::BackendView& instance, bool draining) {
  engine.set_draining(instance.id, draining);
  return {200, kJson,
          fmt::format("{{\"instance\":{},\"draining\":{}}}\n", quote(instance.name), draining)};
}

AdminPage restart(engine::Engine& engine, const core::BackendView& instance,
                  std::string_view query) {
  if (!instance.supervised) {
    return problem_page(
        409, fmt::format("{} is run by somebody else, so drover cannot restart it: drain it here, "
                         "restart it where it runs, then undrain it",
                         instance.name));
  }
  Result<std::optional<Duration>> grace = read_grace(query);
  if (!grace) return problem_page(400, grace.error().message);
  engine.request_restart(instance.id, core::RestartCause::kOperator, "an operator asked for it",
                         *grace);
  const std::uint64_t starts = instance.process ? instance.process->starts : 0;
  return {202, kJson,
          fmt::format("{{\"instance\":{},\"restarting\":true,\"starts\":{}}}\n",
                      quote(instance.name), starts)};
}

AdminPage act(engine::Engine& engine, const wire::RequestHead& head, std::string_view rest) {
  const std::size_t slash = rest.rfind('/');
  const std::string_view action =
      slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  const bool known = action == "drain" || action == "undrain" || action == "restart";
  Result<std::string> name = wire::percent_decode(rest.substr(0, slash));
  if (!known || !name) {
    return problem_page(404, "known here: POST /api/v1/instances/NAME/drain, /undrain, /restart");
  }
  if (head.method != wire::Method::kPost) {
    return problem_page(405, "this path answers POST, because it changes something", "POST");
  }
  const Asker asker{head.find("origin").value_or(""), head.find("sec-fetch-site").value_or(""),
                    head.find("content-type").value_or("")};
  Result<void> own = check_own_page(asker, head.authority);
  if (!own) return problem_page(403, own.error().message);
  const std::shared_ptr<const core::FleetView> fleet = engine.view_now();
  const auto found = std::ranges::find(fleet->backends, *name, &core::BackendView::name);
  if (found == fleet->backends.end()) return unknown_name(*fleet, *name);
  if (action == "restart") return restart(engine, *found, head.query);
  return set_draining(engine, *found, action == "drain");
}

}  // namespace

AdminPage problem_page(int status, std::string_view detail, std::string_view allow) {
  std::string body =
      fmt::format("{{\"type\":\"about:blank\",\"title\":{},\"status\":{},\"detail\":{}}}",
                  quote(wire::reason_phrase(status)), status, quote(detail));
  return {status, "application/problem+json", std::move(body), allow};
}

std::optional<AdminPage> answer_instances(engine::Engine& engine, const wire::RequestHead& head) {
  if (!head.path.starts_with(kPrefix)) return std::nullopt;
  const std::string_view rest = head.path.substr(kPrefix.size());
  if (!rest.empty() && rest.front() != '/') return std::nullopt;
  if (!rest.empty()) return act(engine, head, rest.substr(1));
  const bool reads = head.method == wire::Method::kGet || head.method == wire::Method::kHead;
  if (!reads) return problem_page(405, "this path answers GET and HEAD", "GET, HEAD");
  return list(*engine.view_now());
}

}  // namespace drover::gateway
