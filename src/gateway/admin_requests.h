#pragma once
// What became of one request, and why it went where it did:
//
//   GET /api/v1/requests/ID    of the latest that are over; ID is the X-Request-ID of the answer

#include <optional>

#include "base/time.h"
#include "engine/finished.h"
#include "gateway/admin_instances.h"
#include "wire/http_head.h"

namespace drover::gateway {

// Nothing when the path is not below /api/v1/requests. The Host was judged before. Home loop.
std::optional<AdminPage> answer_requests(const engine::FinishedRequests& finished,
                                         const wire::RequestHead& head, Instant now);

}  // namespace drover::gateway
