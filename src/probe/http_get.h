#pragma once
// One small request on a fresh connection, with one deadline for everything: what a check needs. A
// fresh connection is the point: it also proves that somebody still listens.

#include <cstddef>
#include <string>

#include "base/result.h"
#include "net/loop.h"
#include "net/resolver.h"

namespace drover::probe {

struct GetAnswer {
  int status = 0;
  std::string body;
};

inline constexpr std::size_t kMaxProbeBody = 64 * 1024 * 1024;  // a tags list of 100,000 models

// Errors: kRefused, kTimeout, kResolve, kClosed, kUpstream (not HTTP, or too long), kCancelled.
net::Task<Result<GetAnswer>> http_get(net::Loop& loop, net::Resolver& resolver,
                                      net::HostPort address, std::string path, Instant deadline,
                                      net::Cancel* cancel);

// The same with a JSON document as its body, and an answer that says little: of a load, of one
// token.
inline constexpr std::size_t kMaxPostAnswer = 1024 * 1024;
net::Task<Result<GetAnswer>> http_post(net::Loop& loop, net::Resolver& resolver,
                                       net::HostPort address, std::string path, std::string body,
                                       Instant deadline, net::Cancel* cancel);

}  // namespace drover::probe
