#pragma once
// Requests that concern the models of the whole fleet: from what a client sent to the order that
// jobs carry out.

#include "base/result.h"
#include "gateway/exchange.h"
#include "jobs/order.h"

namespace drover::gateway {

// The request, with its body read, is for the whole fleet: it manages models, or takes one out of
// memory (`ollama stop`).
bool is_order(const Exchange& exchange);

// Precondition: is_order(). Fills what the log shows of the model. Errors: kMalformed, kTooLarge,
// kSystem (the body could not be read back).
Result<jobs::Order> read_order(Exchange& exchange);

}  // namespace drover::gateway
