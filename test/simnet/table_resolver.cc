#include "simnet/table_resolver.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/check.h"

namespace drover::simnet {
namespace {

using Endpoints = std::vector<net::Endpoint>;

Error resolve_error(ErrorKind kind, const std::string& host, std::string_view words) {
  const Retry retry = kind == ErrorKind::kCancelled ? Retry::kNever : Retry::kSafe;
  return {kind, Origin::kInstance, retry, fmt::format("resolve {}: {}", host, words)};
}

}  // namespace

void TableResolver::set(const std::string& host, std::vector<std::string> addresses) {
  table_[host] = std::move(addresses);
}

net::Task<Result<Endpoints>> TableResolver::resolve(net::HostPort name, Instant deadline,
                                                    net::Cancel* cancel) {
  const std::optional<net::Endpoint> literal = net::Endpoint::from_literal(name.host, name.port);
  if (literal) co_return Endpoints{*literal};
  ++lookups_;
  if (delay_ > Duration{}) {
    const Instant answered = loop_.now() + delay_;
    const Instant until = std::min(answered, deadline);
    const net::WaitResult waited = co_await loop_.sleep_until(until, cancel);
    if (waited == net::WaitResult::kCancelled) {
      co_return resolve_error(ErrorKind::kCancelled, name.host, "cancelled");
    }
    if (deadline < answered) co_return resolve_error(ErrorKind::kTimeout, name.host, "timed out");
  }
  Endpoints endpoints;
  for (const std::string& address : table_[name.host]) {
    const std::optional<net::Endpoint> parsed = net::Endpoint::from_literal(address, name.port);
    DROVER_ASSERT(parsed.has_value());
    endpoints.push_back(*parsed);
  }
  if (endpoints.empty()) co_return resolve_error(ErrorKind::kResolve, name.host, "no such name");
  co_return endpoints;
}

}  // namespace drover::simnet
