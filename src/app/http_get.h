#pragma once
// One blocking request for the verbs that ask a running drover. Everything together may take
// `patience`; no loop, no pool: a verb asks once and ends.

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "config/config.h"

namespace drover::app {

inline constexpr std::size_t kLargestAnswer = 16 * 1024 * 1024;  // a status is a few kilobytes

struct Answer {
  int status = 0;
  std::string body;
};

// Errors: kRefused (nobody listens), kResolve, kTimeout, kClosed, kTooLarge, kUpstream (not HTTP),
// kSystem. The message is the reason alone: "connection refused".
Result<Answer> http_get(const config::HostPort& address, std::string_view path, Duration patience);
// A POST without a body.
Result<Answer> http_post(const config::HostPort& address, std::string_view path, Duration patience);

}  // namespace drover::app
