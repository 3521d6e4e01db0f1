#pragma once
// TableResolver: names as the test says; "localhost" is 127.0.0.1 unless it says otherwise.

#include <map>
#include <string>
#include <vector>

#include "net/loop.h"
#include "net/resolver.h"

namespace drover::simnet {

class TableResolver final : public net::Resolver {
 public:
  explicit TableResolver(net::Loop& loop) : loop_(loop) {}

  // Address literals ("10.0.0.1", "::1"), in the order to try them.
  void set(const std::string& host, std::vector<std::string> addresses);
  // From here on `host` has no address.
  void fail(const std::string& host) { set(host, {}); }
  // Answers for names (not literals) take this long.
  void set_delay(Duration delay) { delay_ = delay; }
  // Names asked for so far, literals not counted.
  int lookups() const { return lookups_; }

  net::Task<Result<std::vector<net::Endpoint>>> resolve(net::HostPort name, Instant deadline,
                                                        net::Cancel* cancel) override;

 private:
  net::Loop& loop_;
  std::map<std::string, std::vector<std::string>> table_ = {{"localhost", {"127.0.0.1"}}};
  Duration delay_{};
  int lookups_ = 0;
};

}  // namespace drover::simnet
