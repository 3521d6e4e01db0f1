#pragma once
// From bytes to an Exchange: the head, who may ask, and the body with what it asks for.

#include "base/result.h"
#include "gateway/client.h"
#include "gateway/exchange.h"
#include "gateway/settings.h"

namespace drover::gateway {

// The X-Request-ID of a request that brings none. Fifteen digits: as many as a std::string holds
// without an allocation.
std::string own_id_text(RequestId id);
// Whether an X-Request-ID of a client is taken over: 1 to 128 of A-Z a-z 0-9 - _ . :
bool is_safe_id(std::string_view id);

// Waits for and reads one head into `head`. Its views, and what came behind it, live until the next
// co_await: Client::keep() what is not done with until then.
// Errors: kClosed when the client closed before a head began; kSlow, kMalformed and the like after.
net::Task<Result<void>> read_head(Client& client, wire::RequestHead& head, const Settings& settings,
                                  net::Cancel* cancel);

// What can be judged by the head alone, before anything is kept for the client: route, method,
// Host, Origin, codings, size. Fills the exchange, drops the head from the client's buffer.
Result<void> admit(Client& client, const wire::RequestHead& head, Exchange& exchange,
                   const Settings& settings);

// The client sends its body when it has heard that it may.
bool waits_to_continue(const Client& client, const Exchange& exchange);
// Says "100 Continue". Precondition: waits_to_continue(). Errors as Client::send_rest().
net::Task<Result<void>> let_it_continue(Client& client, const Exchange& exchange,
                                        const Settings& settings, net::Cancel* cancel);

// Reads the body into the exchange's store and finds model, stream and edits in it as it passes.
// Errors: kMalformed, kTooLarge, kSlow, kClosed (cut short), kUnavailable (disk, or no memory to
// decode it with).
net::Task<Result<void>> read_body(Client& client, Exchange& exchange, const Settings& settings,
                                  net::Cancel* cancel);

}  // namespace drover::gateway
