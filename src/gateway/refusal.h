#pragma once
// From an Error to what the client sees: one table for statuses, one function for the answer.

#include <optional>
#include <string>

#include "base/error.h"
#include "gateway/client.h"
#include "gateway/exchange.h"

namespace drover::gateway {

int status_of(ErrorKind kind);

// Answers with the status and body of the dialect. `retry_after` is rounded up to whole seconds.
// Where the connection cannot go on (malformed input, unread body) it is closed afterwards.
net::Task<void> refuse(Client& client, Exchange& exchange, Error error,
                       std::optional<Duration> retry_after, Duration stall, net::Cancel* cancel);

}  // namespace drover::gateway
