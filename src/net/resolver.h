#pragma once
// Names to addresses, IPv4 and IPv6. Two kinds: c-ares (cares_resolver.h) and the table of
// test/simnet.

#include <string>
#include <vector>

#include "base/result.h"
#include "net/endpoint.h"
#include "net/task.h"
#include "net/wait.h"

namespace drover::net {

class Resolver {
 public:
  virtual ~Resolver() = default;
  // At least one endpoint, in the order to try them. Literals answer at once. Errors: kResolve with
  // the reason in words, kTimeout, kCancelled; origin kInstance.
  virtual Task<Result<std::vector<Endpoint>>> resolve(HostPort name, Instant deadline,
                                                      Cancel* cancel) = 0;
};

}  // namespace drover::net
