#include "net/descriptor_limit.h"

#include <fmt/format.h>
#include <sys/resource.h>

namespace drover::net {
namespace {

// A client, its instance, its body.
constexpr std::uint64_t kPerConnection = 3;
// Listeners, loops, checks, the admin side, the log.
constexpr std::uint64_t kForItself = 64;

std::uint64_t as_count(rlim_t limit) {
  return limit == RLIM_INFINITY ? kUnlimited : std::uint64_t{limit};
}

}  // namespace

std::uint64_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return kUnlimited;
  rlimit raised = limit;
  raised.rlim_cur = raised.rlim_max;
  // Refused where a sandbox forbids it: what was allowed before still is.
  if (::setrlimit(RLIMIT_NOFILE, &raised) != 0) return as_count(limit.rlim_cur);
  return as_count(raised.rlim_cur);
}

std::optional<std::string> descriptor_warning(std::uint64_t available, std::uint64_t connections) {
  const std::uint64_t needed = connections * kPerConnection + kForItself;
  if (available >= needed) return std::nullopt;
  const std::uint64_t carries =
      available > kForItself ? (available - kForItself) / kPerConnection : 0;
  return fmt::format(
      "this process may open {} files, which carries {} clients at work and not the {} that "
      "limits.connections allows; raise the limit to {} (ulimit -n, LimitNOFILE=) or lower "
      "limits.connections",
      available, carries, connections, needed);
}

}  // namespace drover::net
